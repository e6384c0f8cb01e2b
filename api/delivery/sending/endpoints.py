"""HTTP for what the engine would do, and why."""

from api.delivery.sending import service
from api.delivery.sending.schemas import ConsideredOut, Explanation
from api.http.dependencies import MemberDep
from api.http.errors import Conflict, NotFound, responses
from api.http.routing import EnrollmentId, room_router
from domain.enrollment import EnrollmentStatus
from domain.schedule import Constraint, SendingTime

router = room_router("/api/workspaces/{workspaceId}/enrollments", "enrollments")


@router.get("/{enrollmentId}/explain", operation_id="explainEnrollment", responses=responses(NotFound, Conflict))
async def explain(member: MemberDep, enrollment_id: EnrollmentId) -> Explanation:
    """When the next step goes out, and what holds it until then."""
    explained = await service.explain(member.session, member.workspace, enrollment_id, member.now)
    time, draft = explained.time, explained.candidate.draft if explained.candidate else None
    return Explanation(
        status=EnrollmentStatus(explained.enrollment.status),
        step_order=explained.step.step_order if explained.step else explained.enrollment.current_step_order,
        step_id=draft.step_id if draft else None,
        draft_id=draft.id if draft else None,
        sends_at=time.at if time else None,
        binding=time.binding if time else None,
        considered=_all_constraints(time) if time else [],
        held_by="; ".join(explained.holds) or None,
        holds=explained.holds,
    )


def _all_constraints(time: SendingTime) -> list[ConsideredOut]:
    """Return those that move the time in order, then the others."""
    moving = dict(time.considered)
    others = [one for one in Constraint if one not in moving and one is not Constraint.NONE]
    return [ConsideredOut(constraint=one, at=moving.get(one)) for one in (*moving, *others)]
