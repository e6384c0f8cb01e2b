"""May this mail go out, now; and what follows from what the provider answered."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import dropwhile
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.drafts import service as drafts
from api.drafts.service import SEND_EMAIL
from api.enrollments import service as enrollments
from api.enrollments.service import GENERATE_DRAFT
from api.errors import NotFound
from api.leads import service as leads
from api.sending import judge, repository
from api.sending.judge import Never, NotNow, Room
from api.sending.repository import Candidate, NextStep
from api.workspaces import service as workspaces
from database import jobs
from database.models import EverlyticConnection, LeadEnrollment, SendOutcome, SequenceStep, Workspace
from domain.draft import DraftEvent, DraftStatus
from domain.enrollment import LIVE, EnrollmentEvent, EnrollmentStatus
from domain.lead import LeadEvent
from domain.schedule import SendingTime

RECONCILE_SEND = "reconcile_send"
UNSENT = frozenset({DraftStatus.PENDING, DraftStatus.DRAFTED, DraftStatus.REVIEWED})


@dataclass(frozen=True, slots=True)
class Request:
    """A draft that a job wants to send now."""

    draft_id: UUID
    now: datetime
    is_again: bool = False
    """Whether the job ran before, and may have been lost after it claimed."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The permission to call the provider once for a draft, committed with the transaction that returned it."""

    candidate: Candidate
    workspace: Workspace
    connection: EverlyticConnection


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The provider took a draft, and calls it `transaction_id` where it said so."""

    draft_id: UUID
    transaction_id: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Explained:
    """Where an enrollment stands: its next step and draft, when that goes out, and all that holds it."""

    enrollment: LeadEnrollment
    step: SequenceStep | None
    candidate: Candidate | None
    time: SendingTime | None
    holds: list[str]


async def claim(
    session: AsyncSession, workspace_id: UUID, requests: Sequence[Request]
) -> list[Claimed | NotNow | Never]:
    """Claim drafts for sending; all that may forbid them is read again, and held, in this transaction.

    It writes its claims and nothing else: what a no leads to is for a transaction that holds to change.
    """
    workspace = await workspaces.hold_to_send(session, workspace_id)
    connection = await _connection_of(session, workspace_id)
    now = max(request.now for request in requests)
    again = {request.draft_id for request in requests if request.is_again}
    room = await _room_today(session, workspace, now)
    answers: dict[UUID, NotNow | Never] = {}
    free: dict[UUID, Claimed] = {}
    wanted = sorted({request.draft_id for request in requests})
    for candidate in await repository.hold(session, workspace_id, wanted, to_change=False):
        draft_id = candidate.draft.id
        verdict = judge.judge(candidate, workspace, connection, now, room, is_again=draft_id in again)
        if isinstance(verdict, NotNow | Never):
            answers[draft_id] = verdict
        elif connection is not None:
            room.take()
            free[draft_id] = Claimed(candidate, workspace, connection)
    claimed = await repository.claim(session, workspace_id, list(free), now)
    given = {draft_id: free[draft_id] for draft_id in claimed}
    return [_answer(request.draft_id, given, free, answers) for request in requests]


def _answer(
    draft_id: UUID, given: dict[UUID, Claimed], free: Mapping[UUID, Claimed], answers: Mapping[UUID, NotNow | Never]
) -> Claimed | NotNow | Never:
    """Return what a request is told; of those that come together for one draft, a single one is given the claim."""
    if (claimed := given.pop(draft_id, None)) is not None:
        return claimed
    if draft_id in free:
        return Never("another job is sending it")
    return answers.get(draft_id, Never("there is no such draft"))


async def _connection_of(session: AsyncSession, workspace_id: UUID) -> EverlyticConnection | None:
    try:
        return await workspaces.find_connection(session, workspace_id)
    except NotFound:
        return None


async def _room_today(session: AsyncSession, workspace: Workspace, now: datetime) -> Room:
    """Count today's cap; exact where the workspace is held to send, so that claims take turns."""
    if workspace.daily_cap is None:
        return Room(workspace, now, None)
    used = await repository.claimed_since(session, workspace.id, judge.start_of_day(workspace, now))
    return Room(workspace, now, workspace.daily_cap - used)


async def forbid(session: AsyncSession, workspace_id: UUID, requests: Sequence[Request]) -> list[None]:
    """Say on each draft that can never be sent why that is so, and let its lead's sequences wait for a person."""
    now = max(request.now for request in requests)
    wanted = sorted({request.draft_id for request in requests})
    reasons: dict[str, list[Candidate]] = {}
    for candidate in await repository.hold(session, workspace_id, wanted, to_change=True):
        # What is being sent goes its way.
        if candidate.forbidden is not None and candidate.outcome is None:
            reasons.setdefault(candidate.forbidden, []).append(candidate)
    for reason, stopped in reasons.items():
        lead_ids = sorted({one.lead.id for one in stopped})
        await enrollments.stop_leads(session, workspace_id, EnrollmentEvent.PAUSED, lead_ids, cause=reason, now=now)
        draft_ids = [one.draft.id for one in stopped]
        await repository.fail(session, workspace_id, draft_ids, DraftEvent.FORBIDDEN, reason)
    return [None] * len(requests)


async def accept(session: AsyncSession, workspace_id: UUID, acceptances: Sequence[Acceptance]) -> list[None]:
    """Record that the provider took mails, once each, and set their leads on to the next step."""
    now = max(one.now for one in acceptances)
    told = {one.draft_id: one.transaction_id for one in reversed(acceptances)}
    candidates = await repository.hold(session, workspace_id, sorted(told), to_change=True)
    new = await repository.accept(session, workspace_id, told, now)
    accepted = [candidate for candidate in candidates if candidate.draft.id in new]
    if accepted:
        lead_ids = sorted({candidate.lead.id for candidate in accepted})
        await leads.move(session, workspace_id, lead_ids, LeadEvent.EMAIL_SENT, cause="email sent", now=now)
        await _set_on(session, workspace_id, accepted, now)
    return [None] * len(acceptances)


async def _set_on(session: AsyncSession, workspace_id: UUID, sent: Sequence[Candidate], now: datetime) -> None:
    """Schedule the step after each draft that was sent, or complete its enrollment; the caller holds them to change."""
    going = [one for one in sent if one.enrollment.status in {EnrollmentStatus.ACTIVE, EnrollmentStatus.PAUSED}]
    if not going:
        return
    workspace = await workspaces.find_workspace(session, workspace_id)
    following, done = [], []
    for one, step in await _next_steps(session, workspace_id, going):
        if step is None:
            done.append(one.enrollment.id)
            continue
        previous, delay = one.draft.sent_at or now, enrollments.delay_of(step)
        due = enrollments.sending_hours(workspace, one.lead.timezone, now=now, previous=previous, delay=delay)
        following.append(NextStep(one.draft, step, due.at))
    await enrollments.complete(session, workspace_id, done, now)
    if following:
        new = await repository.set_on(session, workspace_id, following)
        await drafts.write(session, workspace_id, new, now)


async def _next_steps(
    session: AsyncSession, workspace_id: UUID, sent: Sequence[Candidate]
) -> list[tuple[Candidate, SequenceStep | None]]:
    """Return each with the step to go on with, None after the last; left out is what has another draft to send.

    It is the step that follows, in the order as it is now, the one just sent; those that were drafted are skipped.
    """
    sequence_ids = {one.sequence.id for one in sent}
    await repository.hold_sequences(session, workspace_id, sequence_ids)
    steps: dict[UUID, list[SequenceStep]] = {}
    for step in await repository.steps_of(session, sequence_ids):
        steps.setdefault(step.sequence_id, []).append(step)
    drafted: dict[UUID, set[UUID]] = {}
    busy: set[UUID] = set()
    for enrollment_id, step_id, status in await repository.drafts_of(
        session, workspace_id, [one.enrollment.id for one in sent]
    ):
        drafted.setdefault(enrollment_id, set()).add(step_id)
        if status in UNSENT:
            busy.add(enrollment_id)
    return [
        (one, _step_after(one.draft.step_id, steps[one.sequence.id], drafted[one.enrollment.id]))
        for one in sent
        if one.enrollment.id not in busy
    ]


def _step_after(last: UUID, steps: Sequence[SequenceStep], drafted: Collection[UUID]) -> SequenceStep | None:
    later = dropwhile(lambda step: step.id != last, steps)
    return next((step for step in later if step.id not in drafted), None)


async def rejected(session: AsyncSession, workspace_id: UUID, draft_id: UUID, error: str) -> None:
    """Record that the provider refused the mail for good."""
    if await repository.refuse(session, draft_id, SendOutcome.REJECTED, error):
        await repository.fail(session, workspace_id, [draft_id], DraftEvent.SEND_REFUSED, error)


async def not_called(session: AsyncSession, workspace_id: UUID, draft_id: UUID, now: datetime) -> None:
    """Take a claim back whose call is proved to have had no effect."""
    if await repository.withdraw(session, draft_id) is SendOutcome.UNKNOWN:
        # The caller was taken for lost, and its job with it.
        await repository.note(session, draft_id, None)
        await drafts.send_when_due(session, workspace_id, [draft_id], now)


async def unknown(session: AsyncSession, workspace_id: UUID, draft_id: UUID, error: str, look_up_at: datetime) -> None:
    """Record that nobody knows whether the provider took the mail, and have it looked up; never sent again blindly."""
    if await repository.refuse(session, draft_id, SendOutcome.UNKNOWN, error):
        await repository.note(session, draft_id, f"outcome unknown: {error}")
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
    enrollment_ids: Sequence[UUID] | None,
    now: datetime,
) -> None:
    """Put what a pause left waiting back on the queue: drafts to send, drafts to write, steps to schedule."""
    for status, job_type in ((DraftStatus.REVIEWED, SEND_EMAIL), (DraftStatus.PENDING, GENERATE_DRAFT)):
        waiting = await repository.waiting_drafts(
            session, workspace_id, status, job_type, sequence_id=sequence_id, enrollment_ids=enrollment_ids
        )
        if job_type == SEND_EMAIL:
            await drafts.send_when_due(session, workspace_id, waiting, now)
        else:
            await drafts.write(session, workspace_id, waiting, now)
    if enrollment_ids is not None:
        idle = await repository.idle_drafts(session, workspace_id, enrollment_ids)
        await _set_on(session, workspace_id, await repository.hold(session, workspace_id, idle, to_change=True), now)


async def explain(session: AsyncSession, workspace: Workspace, enrollment_id: UUID, now: datetime) -> Explained:
    """Say when the next step goes out and what holds it, by the judge that the claim asks; raises NotFound."""
    enrollment = await enrollments.get_enrollment(session, workspace.id, enrollment_id)
    candidate = await repository.find_last(session, workspace.id, enrollment_id)
    if candidate is None or enrollment.status not in LIVE:
        held_by = judge.NOTHING_TO_SEND if enrollment.status in LIVE else f"the enrollment is {enrollment.status}"
        return Explained(enrollment, None, candidate, None, [held_by])
    steps = await repository.steps_of(session, {candidate.sequence.id})
    step = next(step for step in steps if step.id == candidate.draft.step_id)
    held_by_all = judge.holds(candidate, await _connection_of(session, workspace.id))
    time = None
    if candidate.draft.status in UNSENT and candidate.outcome is None:
        room = await _room_today(session, workspace, now)
        previous = await repository.last_sent(session, enrollment_id) or enrollment.enrolled_at
        time = judge.time_explained(candidate, step, workspace, previous, now, room)
    return Explained(enrollment, step, candidate, time, held_by_all)
