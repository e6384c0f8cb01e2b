"""May this mail go out, now; and what follows from what the provider answered."""

from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from api.drafts import service as drafts
from api.enrollments import service as enrollments
from api.enrollments.service import GENERATE_DRAFT
from api.leads import service as leads
from api.sending import repository
from api.sending.repository import Candidate
from api.workspaces import service as workspaces
from database import jobs
from database.models import DraftStatus, EverlyticConnection, SendOutcome, SequenceStatus
from domain.enrollment import EnrollmentStatus
from domain.lead import LeadEvent, LeadStatus
from domain.schedule import SendingTime, to_utc

RECONCILE_SEND = "reconcile_send"


@dataclass(frozen=True, slots=True)
class Claimed:
    """The permission to call the provider once for a draft, committed with the transaction that returned it."""

    candidate: Candidate
    connection: EverlyticConnection


@dataclass(frozen=True, slots=True)
class NotNow:
    """The mail may not go out before `at`."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Never:
    """The mail does not go out by this job: it is forbidden, done, or waits for something that will ask again."""

    reason: str


async def claim(session: AsyncSession, workspace_id: UUID, draft_id: UUID, now: datetime) -> Claimed | NotNow | Never:
    """Claim a draft for sending; everything that may forbid it is read again, and held, in this transaction."""
    candidate = await repository.hold(session, workspace_id, draft_id)
    if candidate is None or candidate.draft.status != DraftStatus.REVIEWED:
        return Never("the draft is not ready to be sent")
    if (forbidden := _forbidden(candidate)) is not None:
        await repository.set_draft(session, draft_id, {"status": DraftStatus.FAILED, "error_reason": forbidden})
        return Never(forbidden)
    connection = await workspaces.find_connection(session, workspace_id)
    if (waiting := _waits_for(candidate, connection)) is not None:
        return Never(waiting)
    allowed = await _allowed_from(session, candidate, now)
    if allowed.at > now:
        return NotNow(allowed.at, f"held by {allowed.binding}")
    if not await repository.claim(session, workspace_id, draft_id, now):
        return await _found_claimed(session, workspace_id, draft_id, now)
    return Claimed(candidate, connection)


def _forbidden(candidate: Candidate) -> str | None:
    """Return why the lead must not be mailed, whatever the time."""
    if candidate.is_suppressed:
        return "the address is suppressed"
    if candidate.lead.status == LeadStatus.UNSUBSCRIBED:
        return "the lead has unsubscribed"
    if candidate.lead.deleted_at is not None:
        return "the lead was deleted"
    return None


def _waits_for(candidate: Candidate, connection: EverlyticConnection) -> str | None:
    """Return what keeps the mail until somebody lifts it, who will then have it asked again."""
    if candidate.enrollment.status != EnrollmentStatus.ACTIVE:
        return f"the enrollment is {candidate.enrollment.status}"
    if candidate.sequence.status != SequenceStatus.ACTIVE or candidate.sequence.deleted_at is not None:
        return f"the sequence is {candidate.sequence.status}"
    if connection.disabled_at is not None:
        return f"the Everlytic connection is disabled: {connection.disabled_reason}"
    return None


async def _allowed_from(session: AsyncSession, candidate: Candidate, now: datetime) -> SendingTime:
    """Ask the schedule, with today's cap counted under a lock that makes claims of the workspace take turns."""
    workspace, zone = candidate.workspace, candidate.lead.timezone
    planned = max(candidate.draft.send_at or now, now)
    if workspace.daily_cap is None:
        return enrollments.sending_hours(workspace, zone, now=planned)
    await repository.hold_cap(session, workspace.id)
    local = ZoneInfo(workspace.timezone)
    today = now.astimezone(local).date()
    used = await repository.claimed_since(session, workspace.id, to_utc(today, time(0), local))
    cap = workspace.daily_cap

    def is_full(day: date) -> bool:
        return day == today and used >= cap

    return enrollments.sending_hours(workspace, zone, now=planned, is_full=is_full)


async def _found_claimed(session: AsyncSession, workspace_id: UUID, draft_id: UUID, now: datetime) -> Never:
    """A worker was lost between claim and record: whether it called the provider is not known."""
    await unknown(session, workspace_id, draft_id, "the worker was lost between claim and record", now)
    return Never("claimed before; its outcome is being looked up")


async def accepted(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, transaction_id: str | None, now: datetime
) -> None:
    """Record that the provider took the mail, once, and set the lead on to the next step."""
    if not await repository.record(session, draft_id, SendOutcome.ACCEPTED, transaction_id=transaction_id):
        return
    candidate = await repository.hold(session, workspace_id, draft_id)
    if candidate is None:
        return
    values = {"status": DraftStatus.SENT, "sent_at": now, "error_reason": None, "everlytic_message_id": transaction_id}
    await repository.set_draft(session, draft_id, values)
    await leads.move(
        session, workspace_id, [candidate.lead.id], LeadEvent.EMAIL_SENT, cause=f"draft {draft_id}", now=now
    )
    await _set_on(session, candidate, now)


async def _set_on(session: AsyncSession, candidate: Candidate, now: datetime) -> None:
    """Schedule the step after the one just sent, or complete the enrollment."""
    draft, enrollment = candidate.draft, candidate.enrollment
    if enrollment.status not in {EnrollmentStatus.ACTIVE, EnrollmentStatus.PAUSED}:
        return
    step = await repository.next_step(session, draft.sequence_id, draft.step_order)
    if step is None:
        await enrollments.complete(session, draft.workspace_id, enrollment.id, now)
        return
    due = enrollments.sending_hours(
        candidate.workspace, candidate.lead.timezone, now=now, previous=now, delay=enrollments.delay_of(step)
    )
    await repository.advance(session, enrollment.id, step.step_order, due.at)
    draft_id = await repository.add_draft(session, draft, step, due.at)
    if draft_id is not None:
        await jobs.enqueue(session, GENERATE_DRAFT, draft.workspace_id, [jobs.Job(now, {"draftId": str(draft_id)})])


async def rejected(session: AsyncSession, draft_id: UUID, error: str) -> None:
    """Record that the provider refused the mail for good."""
    if await repository.record(session, draft_id, SendOutcome.REJECTED, error=error):
        await repository.set_draft(session, draft_id, {"status": DraftStatus.FAILED, "error_reason": error})


async def not_called(session: AsyncSession, draft_id: UUID) -> None:
    """Take a claim back whose call is proved to have had no effect."""
    await repository.withdraw(session, draft_id)


async def unknown(session: AsyncSession, workspace_id: UUID, draft_id: UUID, error: str, look_up_at: datetime) -> None:
    """Record that nobody knows whether the provider took the mail, and have it looked up; never sent again blindly."""
    if await repository.record(session, draft_id, SendOutcome.UNKNOWN, error=error):
        await repository.set_draft(session, draft_id, {"error_reason": f"outcome unknown: {error}"})
        look_up = jobs.Job(look_up_at, {"draftId": str(draft_id)})
        await jobs.enqueue(session, RECONCILE_SEND, workspace_id, [look_up], max_attempts=8)


async def to_reconcile(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> EverlyticConnection | None:
    """Return the connection to look a send of unknown outcome up with, or None when it is known by now."""
    attempt = await repository.find_attempt(session, draft_id)
    if attempt is None or attempt.outcome != SendOutcome.UNKNOWN:
        return None
    return await workspaces.find_connection(session, workspace_id)


async def resume(
    session: AsyncSession,
    workspace_id: UUID,
    *,
    sequence_id: UUID | None,
    enrollment_id: UUID | None,
    now: datetime,
) -> None:
    """Put what a pause left waiting back on the queue."""
    waiting = await repository.waiting_drafts(
        session, workspace_id, sequence_id=sequence_id, enrollment_id=enrollment_id
    )
    await drafts.send_when_due(session, workspace_id, waiting, now)
