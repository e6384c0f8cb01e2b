"""HTTP for enrollments, and for a lead's no."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from api.http.dependencies import Member, MemberDep, PageDep
from api.http.errors import Conflict, NotFound, PreconditionFailed, responses
from api.http.pagination import Page, to_page
from api.http.preconditions import IfMatch
from api.http.routing import EnrollmentId, LeadId, SequenceId, room_router
from api.outreach.enrollments import service
from api.outreach.enrollments.schemas import (
    BulkAction,
    BulkIn,
    BulkOutcome,
    BulkResult,
    BulkRow,
    EnrollIn,
    EnrollmentOut,
    EnrollResult,
    StopIn,
)
from api.outreach.enrollments.service import Moved
from api.outreach.sequences import service as sequences
from api.outreach.sequences.schemas import SequenceDetail
from api.people.leads import service as leads
from api.people.leads.schemas import LeadDetail
from domain.enrollment import EnrollmentEvent, EnrollmentStatus

router = room_router("/api/workspaces/{workspaceId}", "enrollments")
ENROLLMENT = "/enrollments/{enrollmentId}"


def _cause(member: Member, reason: str | None = None) -> str:
    """Return who does it, and why where they say so, for the history."""
    return f"by user {member.caller.user_id}" + (f": {reason}" if reason else "")


@router.post(
    "/enrollments",
    operation_id="enrollLeads",
    status_code=201,
    responses=responses(NotFound, Conflict),
)
async def enroll(member: MemberDep, body: EnrollIn) -> EnrollResult:
    """Enroll leads by id, or a whole list; says who was skipped, by reason."""
    enrolled, skipped = await service.enroll(
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
    """The workspace's enrollments, newest first."""
    found = await service.list_enrollments(
        member.session, member.workspace_id, page, sequence_id=sequence_id, lead_id=lead_id, status=status
    )
    return to_page(EnrollmentOut, found, page)


@router.post("/enrollments/bulk", operation_id="bulkChangeEnrollments", responses=responses(NotFound))
async def bulk(member: MemberDep, body: BulkIn) -> BulkResult:
    """Pause, resume or stop many enrollments: some by id, each with its own row, or all of a sequence, counted."""
    moved = await service.move_many(
        member.session,
        member.workspace_id,
        _EVENTS[body.action],
        ids=body.enrollment_ids,
        sequence_id=body.sequence_id,
        only=body.status,
        cause=_cause(member, body.reason),
        now=member.now,
    )
    rows = [
        BulkRow(enrollment_id=one, outcome=_outcome(one, moved), status=moved.standing.get(one))
        for one in dict.fromkeys(body.enrollment_ids or ())
    ]
    return BulkResult(changed=len(moved.ids), unchanged=moved.unchanged, results=rows)


def _outcome(enrollment_id: EnrollmentId, moved: Moved) -> BulkOutcome:
    if enrollment_id in moved.ids:
        return BulkOutcome.CHANGED
    return BulkOutcome.NOT_POSSIBLE if enrollment_id in moved.standing else BulkOutcome.UNKNOWN


_EVENTS = {
    BulkAction.PAUSE: EnrollmentEvent.PAUSED,
    BulkAction.RESUME: EnrollmentEvent.RESUMED,
    BulkAction.STOP: EnrollmentEvent.STOPPED,
}


@router.get(ENROLLMENT, operation_id="getEnrollment", responses=responses(NotFound))
async def get_enrollment(member: MemberDep, enrollment_id: EnrollmentId) -> EnrollmentOut:
    """One enrollment."""
    return EnrollmentOut.of(await service.get_enrollment(member.session, member.workspace_id, enrollment_id))


@router.post(f"{ENROLLMENT}/pause", operation_id="pauseEnrollment", responses=responses(NotFound, Conflict))
async def pause(member: MemberDep, enrollment_id: EnrollmentId) -> EnrollmentOut:
    """Pause an enrollment; nothing more goes out until it is resumed."""
    moved = await service.pause(
        member.session, member.workspace_id, enrollment_id, cause=_cause(member), now=member.now
    )
    return EnrollmentOut.of(moved)


@router.post(f"{ENROLLMENT}/resume", operation_id="resumeEnrollment", responses=responses(NotFound, Conflict))
async def resume(member: MemberDep, enrollment_id: EnrollmentId) -> EnrollmentOut:
    """Resume a paused or replied enrollment."""
    moved = await service.resume(
        member.session, member.workspace_id, enrollment_id, cause=_cause(member), now=member.now
    )
    return EnrollmentOut.of(moved)


@router.post(f"{ENROLLMENT}/stop", operation_id="stopEnrollment", responses=responses(NotFound, Conflict))
async def stop(member: MemberDep, enrollment_id: EnrollmentId, body: StopIn | None = None) -> EnrollmentOut:
    """End an enrollment for good; its drafts that were not sent fail with the reason."""
    cause = _cause(member, body.reason if body else None)
    moved = await service.stop(member.session, member.workspace_id, enrollment_id, cause=cause, now=member.now)
    return EnrollmentOut.of(moved)


@router.delete(
    "/sequences/{sequenceId}",
    operation_id="deleteSequence",
    status_code=204,
    responses=responses(NotFound, PreconditionFailed),
    tags=["sequences"],
)
async def delete_sequence(member: MemberDep, sequence_id: SequenceId, if_match: IfMatch) -> None:
    """Delete a sequence for good: it sends nothing more, its enrollments are stopped, what was sent stays on record."""
    held = await service.hold_to_delete(member.session, member.workspace_id, sequence_id)
    if_match.require(SequenceDetail.with_steps(held, await sequences.list_steps(member.session, held)))
    await service.delete_sequence(member.session, held, cause=_cause(member), now=member.now)


@router.post("/leads/{leadId}/unsubscribe", operation_id="unsubscribeLead", responses=responses(NotFound))
async def unsubscribe_lead(member: MemberDep, lead_id: LeadId) -> LeadDetail:
    """Take a lead's no for good: suppressed, unsubscribed, out of every sequence; a second time changes nothing."""
    lead = await service.unsubscribe_lead(
        member.session, member.workspace_id, lead_id, cause=f"by {member.caller.user_id}", now=member.now
    )
    return await leads.detail(member.session, lead)


@router.delete(
    "/leads/{leadId}",
    operation_id="deleteLead",
    status_code=204,
    responses=responses(NotFound, PreconditionFailed),
    tags=["leads"],
)
async def delete_lead(member: MemberDep, lead_id: LeadId, if_match: IfMatch) -> None:
    """Delete a lead until it is restored: its address is free again, its enrollments are paused."""
    held = await leads.hold_lead(member.session, member.workspace_id, lead_id)
    if_match.require(await leads.detail(member.session, held))
    await service.delete_lead(member.session, held, now=member.now)
