"""Endpoints for enrollments."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from api.delivery.sending import explanation
from api.http.dependencies import Member, MemberDep, PageDep
from api.http.errors import Conflict, NotFound, responses
from api.http.pagination import Page, to_page
from api.http.routing import EnrollmentId, create_router
from api.outreach.enrollment_status import service as enrollment_status
from api.outreach.enrollment_status.service import BulkChange
from api.outreach.enrollments import repository, service
from api.outreach.enrollments.schemas import (
    BulkAction,
    BulkIn,
    BulkOutcome,
    BulkResult,
    BulkRow,
    ConsideredOut,
    EnrollIn,
    EnrollmentOut,
    EnrollResult,
    Explanation,
    StopIn,
)
from api.outreach.sequences.schemas import TrackingOut
from domain.enrollment import EnrollmentEvent, EnrollmentStatus
from domain.schedule import Constraint, SendingTime

router = create_router("/api/workspaces/{workspaceId}", "enrollments")
ENROLLMENT = "/enrollments/{enrollmentId}"


def _cause(member: Member, reason: str | None = None) -> str:
    """Return the cause for the history: the user, and the reason if one is given."""
    return f"by user {member.caller.user_id}" + (f": {reason}" if reason else "")


@router.post(
    "/enrollments",
    operation_id="enrollLeads",
    status_code=201,
    responses=responses(NotFound, Conflict),
)
async def enroll_leads(member: MemberDep, body: EnrollIn) -> EnrollResult:
    """Enroll leads by id or all leads of a list; the answer counts the skipped leads by reason."""
    enrolled, skipped = await service.enroll_leads(
        member.session,
        member.workspace,
        sequence_id=body.sequence_id,
        lead_ids=body.lead_ids,
        list_id=body.list_id,
        by=member.caller.user_id,
        now=member.now,
    )
    return EnrollResult(enrolled=enrolled, skipped=skipped)


@router.get("/enrollments", operation_id="listEnrollments", responses=responses(NotFound))
async def list_enrollments(
    member: MemberDep,
    page: PageDep,
    sequence_id: Annotated[UUID | None, Query(alias="sequenceId")] = None,
    lead_id: Annotated[UUID | None, Query(alias="leadId")] = None,
    status: EnrollmentStatus | None = None,
) -> Page[EnrollmentOut]:
    """List the workspace's enrollments, newest first."""
    enrollments = await repository.list_enrollments(
        member.session, member.workspace_id, page, sequence_id=sequence_id, lead_id=lead_id, status=status
    )
    return to_page(EnrollmentOut, enrollments, page)


@router.post("/enrollments/bulk", operation_id="bulkChangeEnrollments", responses=responses(NotFound))
async def change_enrollments(member: MemberDep, body: BulkIn) -> BulkResult:
    """Pause, resume or stop many enrollments: by id, with a result for each, or all of a sequence, counted."""
    change = await service.change_enrollments(
        member.session,
        member.workspace_id,
        _EVENTS[body.action],
        ids=body.enrollment_ids,
        sequence_id=body.sequence_id,
        status=body.status,
        cause=_cause(member, body.reason),
        now=member.now,
    )
    rows = [
        BulkRow(enrollment_id=id_, outcome=_get_outcome(id_, change), status=change.statuses.get(id_))
        for id_ in dict.fromkeys(body.enrollment_ids or ())
    ]
    return BulkResult(changed=len(change.ids), unchanged=change.unchanged, results=rows)


def _get_outcome(enrollment_id: EnrollmentId, change: BulkChange) -> BulkOutcome:
    if enrollment_id in change.ids:
        return BulkOutcome.CHANGED
    return BulkOutcome.NOT_POSSIBLE if enrollment_id in change.statuses else BulkOutcome.UNKNOWN


_EVENTS = {
    BulkAction.PAUSE: EnrollmentEvent.PAUSED,
    BulkAction.RESUME: EnrollmentEvent.RESUMED,
    BulkAction.STOP: EnrollmentEvent.STOPPED,
}


@router.get(ENROLLMENT, operation_id="getEnrollment", responses=responses(NotFound))
async def get_enrollment(member: MemberDep, enrollment_id: EnrollmentId) -> EnrollmentOut:
    """Get one enrollment."""
    return EnrollmentOut.of(await enrollment_status.get_enrollment(member.session, member.workspace_id, enrollment_id))


@router.post(f"{ENROLLMENT}/pause", operation_id="pauseEnrollment", responses=responses(NotFound, Conflict))
async def pause_enrollment(member: MemberDep, enrollment_id: EnrollmentId) -> EnrollmentOut:
    """Pause an enrollment; nothing is sent until you resume it."""
    enrollment = await enrollment_status.pause_enrollment(
        member.session, member.workspace_id, enrollment_id, cause=_cause(member), now=member.now
    )
    return EnrollmentOut.of(enrollment)


@router.post(f"{ENROLLMENT}/resume", operation_id="resumeEnrollment", responses=responses(NotFound, Conflict))
async def resume_enrollment(member: MemberDep, enrollment_id: EnrollmentId) -> EnrollmentOut:
    """Resume an enrollment that is paused, or that a reply has stopped."""
    enrollment = await enrollment_status.resume_enrollment(
        member.session, member.workspace_id, enrollment_id, cause=_cause(member), now=member.now
    )
    return EnrollmentOut.of(enrollment)


@router.post(f"{ENROLLMENT}/stop", operation_id="stopEnrollment", responses=responses(NotFound, Conflict))
async def stop_enrollment(member: MemberDep, enrollment_id: EnrollmentId, body: StopIn | None = None) -> EnrollmentOut:
    """Stop an enrollment permanently; its unsent drafts fail with the reason."""
    cause = _cause(member, body.reason if body else None)
    enrollment = await enrollment_status.stop_enrollment(
        member.session, member.workspace_id, enrollment_id, cause=cause, now=member.now
    )
    return EnrollmentOut.of(enrollment)


@router.get(f"{ENROLLMENT}/explain", operation_id="explainEnrollment", responses=responses(NotFound, Conflict))
async def explain_enrollment(member: MemberDep, enrollment_id: EnrollmentId) -> Explanation:
    """Explain when the next step will be sent, and what defers or stops it."""
    public_url = member.services.settings.public_url
    explained = await explanation.explain_next_send(
        member.session, member.workspace, enrollment_id, public_url=public_url, now=member.now
    )
    time, draft = explained.time, explained.candidate.draft if explained.candidate else None
    return Explanation(
        status=EnrollmentStatus(explained.enrollment.status),
        step_order=explained.step.step_order if explained.step else explained.enrollment.current_step_order,
        step_id=draft.step_id if draft else None,
        draft_id=draft.id if draft else None,
        sends_at=time.at if time else None,
        binding=time.binding if time else None,
        considered=_list_constraints(time) if time else [],
        held_by="; ".join(explained.hold_reasons) or None,
        holds=explained.hold_reasons,
        tracking=TrackingOut.of(explained.tracking) if explained.tracking else None,
    )


def _list_constraints(time: SendingTime) -> list[ConsideredOut]:
    """Return the constraints that defer the time in order, then the others."""
    deferrals = dict(time.considered)
    others = [constraint for constraint in Constraint if constraint not in {*deferrals, Constraint.NONE}]
    return [ConsideredOut(constraint=constraint, at=deferrals.get(constraint)) for constraint in (*deferrals, *others)]
