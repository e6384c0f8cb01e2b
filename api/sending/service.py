"""May this mail go out, now; and what follows from what the provider answered."""

from collections.abc import Mapping, Sequence
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
from api.sending.repository import Candidate, NextStep
from api.workspaces import service as workspaces
from database import jobs
from database.models import DraftStatus, EverlyticConnection, SendOutcome, SequenceStatus, Workspace
from domain.enrollment import EnrollmentEvent, EnrollmentStatus
from domain.lead import LeadEvent, LeadStatus
from domain.schedule import to_utc

RECONCILE_SEND = "reconcile_send"


@dataclass(frozen=True, slots=True)
class Request:
    """A draft that a job wants to send now."""

    draft_id: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """The permission to call the provider once for a draft, committed with the transaction that returned it."""

    candidate: Candidate
    workspace: Workspace
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


@dataclass(frozen=True, slots=True)
class Forbidden(Never):
    """The mail may never go out, whoever asks."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The provider took a draft, and calls it `transaction_id` where it said so."""

    draft_id: UUID
    transaction_id: str | None
    now: datetime


async def claim(
    session: AsyncSession, workspace_id: UUID, requests: Sequence[Request]
) -> list[Claimed | NotNow | Never]:
    """Claim drafts for sending; all that may forbid them is read again, and held, in this transaction."""
    workspace = await workspaces.find_workspace(session, workspace_id)
    connection = await workspaces.find_connection(session, workspace_id)
    now = max(request.now for request in requests)
    wanted = sorted({request.draft_id for request in requests})
    room = await _room_today(session, workspace, now)
    answers: dict[UUID, Claimed | NotNow | Never] = {}
    candidates = await repository.hold(session, workspace_id, wanted, to_change=False)
    for candidate in candidates:
        answers[candidate.draft.id] = _judge(candidate, workspace, connection, now, room)
    await _settle_forbidden(session, workspace_id, candidates, answers, now)
    free = [draft_id for draft_id, answer in answers.items() if isinstance(answer, Claimed)]
    for draft_id in set(free) - await repository.claim(session, workspace_id, free, now):
        # A worker was lost between claim and record: whether it called the provider is not known.
        await unknown(session, workspace_id, draft_id, "the worker was lost between claim and record", now)
        answers[draft_id] = Never("claimed before; its outcome is being looked up")
    return [answers.get(request.draft_id, Never("there is no such draft")) for request in requests]


def _judge(
    candidate: Candidate, workspace: Workspace, connection: EverlyticConnection, now: datetime, room: "_Room"
) -> Claimed | NotNow | Never:
    if candidate.draft.status != DraftStatus.REVIEWED:
        return Never("the draft is not ready to be sent")
    if (forbidden := _forbidden(candidate)) is not None:
        return Forbidden(forbidden)
    if (waiting := _waits_for(candidate, connection)) is not None:
        return Never(waiting)
    planned = max(candidate.draft.send_at or now, now)
    allowed = enrollments.sending_hours(workspace, candidate.lead.timezone, now=planned, is_full=room.is_full)
    if allowed.at > now:
        return NotNow(allowed.at, f"held by {allowed.binding}")
    room.take()
    return Claimed(candidate, workspace, connection)


def _forbidden(candidate: Candidate) -> str | None:
    """Return why the lead must not be mailed, whatever the time."""
    if candidate.is_suppressed:
        return "the address is suppressed"
    if candidate.lead.status == LeadStatus.UNSUBSCRIBED:
        return "the lead has unsubscribed"
    if candidate.lead.deleted_at is not None:
        return "the lead was deleted"
    return None


async def _settle_forbidden(
    session: AsyncSession,
    workspace_id: UUID,
    candidates: Sequence[Candidate],
    answers: Mapping[UUID, Claimed | NotNow | Never],
    now: datetime,
) -> None:
    """Say on each draft that can never be sent why that is so, and let its lead's sequences wait for a person."""
    reasons: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        answer = answers[candidate.draft.id]
        if isinstance(answer, Forbidden):
            reasons.setdefault(answer.reason, []).append(candidate)
    for reason, stopped in reasons.items():
        values = {"status": DraftStatus.FAILED, "error_reason": reason}
        await repository.set_drafts(session, [one.draft.id for one in stopped], values)
        lead_ids = sorted({one.lead.id for one in stopped})
        await enrollments.stop_leads(session, workspace_id, EnrollmentEvent.PAUSED, lead_ids, cause=reason, now=now)


def _waits_for(candidate: Candidate, connection: EverlyticConnection) -> str | None:
    """Return what keeps the mail until somebody lifts it, who will then have it asked again."""
    if candidate.enrollment.status != EnrollmentStatus.ACTIVE:
        return f"the enrollment is {candidate.enrollment.status}"
    if candidate.sequence.status != SequenceStatus.ACTIVE or candidate.sequence.deleted_at is not None:
        return f"the sequence is {candidate.sequence.status}"
    if connection.disabled_at is not None:
        return f"the Everlytic connection is disabled: {connection.disabled_reason}"
    return None


class _Room:
    """How many mails the workspace may still send today."""

    def __init__(self, today: date, left: int | None) -> None:
        self._today, self._left = today, left

    def is_full(self, day: date) -> bool:
        """Say whether the daily cap is used up on a day."""
        return self._left is not None and day == self._today and self._left <= 0

    def take(self) -> None:
        """Count one mail more."""
        if self._left is not None:
            self._left -= 1


async def _room_today(session: AsyncSession, workspace: Workspace, now: datetime) -> _Room:
    """Count today's cap under a lock that makes claims of the workspace take turns."""
    local = ZoneInfo(workspace.timezone)
    today = now.astimezone(local).date()
    if workspace.daily_cap is None:
        return _Room(today, None)
    await repository.hold_cap(session, workspace.id)
    used = await repository.claimed_since(session, workspace.id, to_utc(today, time(0), local))
    return _Room(today, workspace.daily_cap - used)


async def accept(session: AsyncSession, workspace_id: UUID, acceptances: Sequence[Acceptance]) -> list[None]:
    """Record that the provider took mails, once each, and set their leads on to the next step."""
    now = max(one.now for one in acceptances)
    told = {one.draft_id: one.transaction_id for one in reversed(acceptances)}
    if new := await repository.accept(session, workspace_id, told, now):
        candidates = await repository.hold(session, workspace_id, sorted(new), to_change=True)
        lead_ids = sorted({candidate.lead.id for candidate in candidates})
        await leads.move(session, workspace_id, lead_ids, LeadEvent.EMAIL_SENT, cause="email sent", now=now)
        await _set_on(session, workspace_id, candidates, now)
    return [None] * len(acceptances)


async def _set_on(session: AsyncSession, workspace_id: UUID, candidates: Sequence[Candidate], now: datetime) -> None:
    """Schedule the step after each draft just sent, or complete its enrollment."""
    going = [one for one in candidates if one.enrollment.status in {EnrollmentStatus.ACTIVE, EnrollmentStatus.PAUSED}]
    if not going:
        return
    workspace = await workspaces.find_workspace(session, workspace_id)
    steps = await repository.steps_of(session, {one.draft.sequence_id for one in going})
    following, done = [], []
    for one in going:
        later = (
            step
            for step in steps
            if step.sequence_id == one.draft.sequence_id and step.step_order > one.draft.step_order
        )
        step = next(later, None)
        if step is None:
            done.append(one.enrollment.id)
            continue
        delay = enrollments.delay_of(step)
        due = enrollments.sending_hours(workspace, one.lead.timezone, now=now, previous=now, delay=delay)
        following.append(NextStep(one.draft, step, due.at))
    await enrollments.complete(session, workspace_id, done, now)
    if following:
        made = await repository.set_on(session, workspace_id, following)
        to_write = [jobs.Job(now, {"draftId": str(draft_id)}) for draft_id in made]
        await jobs.enqueue(session, GENERATE_DRAFT, workspace_id, to_write)


async def rejected(session: AsyncSession, draft_id: UUID, error: str) -> None:
    """Record that the provider refused the mail for good."""
    if await repository.refuse(session, draft_id, SendOutcome.REJECTED, error):
        await repository.set_drafts(session, [draft_id], {"status": DraftStatus.FAILED, "error_reason": error})


async def not_called(session: AsyncSession, draft_id: UUID) -> None:
    """Take a claim back whose call is proved to have had no effect."""
    await repository.withdraw(session, draft_id)


async def unknown(session: AsyncSession, workspace_id: UUID, draft_id: UUID, error: str, look_up_at: datetime) -> None:
    """Record that nobody knows whether the provider took the mail, and have it looked up; never sent again blindly."""
    if await repository.refuse(session, draft_id, SendOutcome.UNKNOWN, error):
        await repository.set_drafts(session, [draft_id], {"error_reason": f"outcome unknown: {error}"})
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
