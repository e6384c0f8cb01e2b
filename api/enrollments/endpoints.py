"""HTTP for enrollments, and for a lead's no."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.dependencies import MemberDep, PageDep
from api.enrollments import service
from api.enrollments.schemas import ConsideredOut, EnrollIn, EnrollmentOut, EnrollResult, Explanation
from api.errors import Conflict, NotFound, Unauthorized, responses
from api.leads.schemas import LeadOut
from api.pagination import Page, to_page
from domain.enrollment import EnrollmentStatus

router = APIRouter(prefix="/api/workspaces/{workspaceId}", tags=["enrollments"])
ENROLLMENT = "/enrollments/{enrollment_id}"


@router.post(
    "/enrollments",
    operation_id="enrollLeads",
    status_code=201,
    responses=responses(Unauthorized, NotFound, Conflict),
)
async def enroll(member: MemberDep, body: EnrollIn) -> EnrollResult:
    """Enroll leads by id, or a whole list; says who was skipped, by reason."""
    enrolled, skipped = await service.enroll(
        member.session,
        member.workspace,
        sequence_id=body.sequence_id,
        lead_ids=body.lead_ids,
        list_id=body.list_id,
        now=member.now,
    )
    return EnrollResult(enrolled=enrolled, skipped=skipped)


@router.get("/enrollments", operation_id="listEnrollments", responses=responses(Unauthorized, NotFound))
async def list_enrollments(
    member: MemberDep,
    page: PageDep,
    sequence_id: Annotated[UUID | None, Query(alias="sequenceId")] = None,
    lead_id: Annotated[UUID | None, Query(alias="leadId")] = None,
    status: EnrollmentStatus | None = None,
) -> Page[EnrollmentOut]:
    """The workspace's enrollments, newest first."""
    found = await service.list_enrollments(
        member.session, member.workspace_id, page, sequence_id=sequence_id, lead_id=lead_id, status=status
    )
    return to_page(EnrollmentOut, found, page)


@router.get(ENROLLMENT, operation_id="getEnrollment", responses=responses(Unauthorized, NotFound))
async def get_enrollment(member: MemberDep, enrollment_id: UUID) -> EnrollmentOut:
    """One enrollment."""
    return EnrollmentOut.model_validate(
        await service.get_enrollment(member.session, member.workspace_id, enrollment_id)
    )


@router.post(
    f"{ENROLLMENT}/pause", operation_id="pauseEnrollment", responses=responses(Unauthorized, NotFound, Conflict)
)
async def pause(member: MemberDep, enrollment_id: UUID) -> EnrollmentOut:
    """Pause an enrollment; nothing more goes out until it is resumed."""
    moved = await service.pause(member.session, member.workspace_id, enrollment_id, member.now)
    return EnrollmentOut.model_validate(moved)


@router.post(
    f"{ENROLLMENT}/resume", operation_id="resumeEnrollment", responses=responses(Unauthorized, NotFound, Conflict)
)
async def resume(member: MemberDep, enrollment_id: UUID) -> EnrollmentOut:
    """Resume a paused or replied enrollment."""
    moved = await service.resume(member.session, member.workspace_id, enrollment_id, member.now)
    return EnrollmentOut.model_validate(moved)


@router.get(f"{ENROLLMENT}/explain", operation_id="explainEnrollment", responses=responses(Unauthorized, NotFound))
async def explain(member: MemberDep, enrollment_id: UUID) -> Explanation:
    """When the next step goes out, and what holds it until then."""
    explained = await service.explain(member.session, member.workspace, enrollment_id, member.now)
    time = explained.time
    return Explanation(
        status=EnrollmentStatus(explained.enrollment.status),
        step_order=explained.enrollment.current_step_order,
        sends_at=time.at if time else None,
        binding=time.binding if time else None,
        considered=[ConsideredOut(constraint=name, at=at) for name, at in time.considered] if time else [],
        held_by=explained.held_by,
    )


@router.post(
    "/leads/{lead_id}/unsubscribe", operation_id="unsubscribeLead", responses=responses(Unauthorized, NotFound)
)
async def unsubscribe_lead(member: MemberDep, lead_id: UUID) -> LeadOut:
    """Take a lead's no for good: suppressed, unsubscribed, out of every sequence; a second time changes nothing."""
    lead = await service.unsubscribe_lead(
        member.session, member.workspace_id, lead_id, cause=f"by {member.caller.user_id}", now=member.now
    )
    return LeadOut.model_validate(lead)
