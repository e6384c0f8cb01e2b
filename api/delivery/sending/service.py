"""May this mail go out, now; and what follows from what the provider answered."""

import contextlib
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import dropwhile
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import service as workspaces
from api.delivery.sending import judge, repository
from api.delivery.sending.judge import Never, NotNow, Now, Terms
from api.delivery.sending.repository import Candidate, NextStep
from api.delivery.slots import service as pacing
from api.http.errors import NotFound
from api.outreach.drafts import service as drafts
from api.outreach.drafts.service import SEND_EMAIL
from api.outreach.enrollments import service as enrollments
from api.outreach.enrollments.service import GENERATE_DRAFT
from api.people.leads import service as leads
from api.people.suppressions import service as suppressions
from database import jobs
from database.models import EverlyticConnection, LeadEnrollment, SendOutcome, SequenceStep, Workspace
from domain import breaker
from domain.draft import DraftEvent, DraftStatus
from domain.enrollment import LIVE, EnrollmentEvent, EnrollmentStatus
from domain.errors import NoSendingTime
from domain.job import OPEN, JobStatus
from domain.lead import LeadEvent
from domain.schedule import SendingTime
from domain.suppression import domain_of

RECONCILE_SEND = "reconcile_send"
UNSENT = frozenset({DraftStatus.PENDING, DraftStatus.DRAFTED, DraftStatus.REVIEWED})


@dataclass(frozen=True, slots=True)
class Request:
    """A draft that a job wants to send now."""

    draft_id: UUID
    now: datetime
    job_id: UUID


@dataclass(frozen=True, slots=True)
class Claimed:
    """The permission to call the provider once for a draft, committed with the transaction that returned it."""

    candidate: Candidate
    workspace: Workspace
    connection: EverlyticConnection
    as_of: float
    """Up to when (`time.monotonic()`) nothing that would have forbidden it can have been committed."""


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

    It writes its claims and turns, and nothing else: what a no leads to is for a transaction that holds to change.
    Those who come first in `requests` have their turn first.
    """
    await suppressions.hold_as_they_are(session, workspace_id)
    workspace = await workspaces.hold_to_send(session, workspace_id)
    connection = await _connection_of(session, workspace_id)
    now = max(request.now for request in requests)
    jobs_of = {request.draft_id: request.job_id for request in reversed(requests)}
    wanted = sorted({request.draft_id for request in requests})
    held = {one.draft.id: one for one in await repository.hold(session, workspace_id, wanted, to_change=False)}
    terms = Terms(workspace, connection, await pacing.read_places(session, workspace, now, _domains(held)))
    answers: dict[UUID, Now | NotNow | Never] = {}
    for candidate in (held[one] for one in dict.fromkeys(request.draft_id for request in requests) if one in held):
        answers[candidate.draft.id] = _give_turn(candidate, terms, now, jobs_of[candidate.draft.id])
    await _probe_at_most(session, terms, held, answers, now)
    free = {draft_id: jobs_of[draft_id] for draft_id, answer in answers.items() if isinstance(answer, Now)}
    claimed = await repository.claim(session, workspace_id, free, now)
    await pacing.write_places(session, workspace_id, terms.places, now)
    as_of = time.monotonic()
    given = {one: Claimed(held[one], workspace, terms.connection, as_of) for one in claimed if terms.connection}
    return [_answer(request.draft_id, given, answers) for request in requests]


def _give_turn(candidate: Candidate, terms: Terms, now: datetime, job_id: UUID) -> Now | NotNow | Never:
    """Judge a draft, and keep or use its turn in the workspace's pace accordingly."""
    answer = judge.judge(candidate, terms, now, job_id)
    draft_id, domain = candidate.draft.id, domain_of(candidate.lead.email)
    match answer:
        case Now():
            terms.places.use(draft_id, domain, now)
        case NotNow():
            terms.places.keep(draft_id, domain, answer.at)
        case Never():
            terms.places.give_up(draft_id)
    return answer


async def _probe_at_most(
    session: AsyncSession,
    terms: Terms,
    held: Mapping[UUID, Candidate],
    answers: dict[UUID, Now | NotNow | Never],
    now: datetime,
) -> None:
    """Let a single draft through to a provider that did not serve the last ones, and none if another is on its way."""
    connection, free = terms.connection, [one for one, answer in answers.items() if isinstance(answer, Now)]
    if connection is None or not free:
        return
    admitted = breaker.admits(connection.failures, connection.blocked_until, now)
    if isinstance(admitted, breaker.OneProbe):
        is_ours = await workspaces.hold_for_probe(session, connection, admitted.until)
        until = connection.blocked_until or now
        for draft_id in free[is_ours:]:
            answers[draft_id] = NotNow(until, connection.blocked_reason or "Everlytic did not serve the last mails")
            terms.places.put_back(draft_id, domain_of(held[draft_id].lead.email), now, until)


def _answer(
    draft_id: UUID, given: dict[UUID, Claimed], answers: Mapping[UUID, Now | NotNow | Never]
) -> Claimed | NotNow | Never:
    """Return what a request is told; of those that come together for one draft, a single one is given the claim."""
    if (claimed := given.pop(draft_id, None)) is not None:
        return claimed
    answer = answers.get(draft_id, Never("there is no such draft"))
    return Never("another job is sending it") if isinstance(answer, Now) else answer


async def _connection_of(session: AsyncSession, workspace_id: UUID) -> EverlyticConnection | None:
    try:
        return await workspaces.find_connection(session, workspace_id)
    except NotFound:
        return None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What has stopped a draft since it was claimed, None if nothing has; all that was committed by `as_of` is seen."""

    stopped_by: str | None
    blocked_until: datetime | None
    """Before which nothing is sent through the connection."""
    as_of: float


async def confirm(session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID]) -> list[Confirmation]:
    """Say of claimed drafts whether they may still go out; `time.monotonic()` says as of when."""
    as_of = time.monotonic()
    found = await repository.standing_of(session, workspace_id, draft_ids)
    told = []
    for draft_id in draft_ids:
        standing, connection = found.get(draft_id, (None, None))
        stopped_by = judge.stopped(standing, connection) if standing else "its workspace was deleted"
        told.append(Confirmation(stopped_by, connection.blocked_until if connection else None, as_of))
    return told


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
    if await repository.withdraw(session, workspace_id, draft_id) is SendOutcome.UNKNOWN:
        # The caller was taken for lost, and its job with it.
        await repository.note(session, draft_id, None)
        await drafts.send_when_due(session, workspace_id, [draft_id], now)


async def unknown(session: AsyncSession, workspace_id: UUID, draft_id: UUID, error: str, look_up_at: datetime) -> None:
    """Record that nobody knows whether the provider took the mail, and have it looked up; never sent again blindly."""
    if await repository.refuse(session, draft_id, SendOutcome.UNKNOWN, error):
        await repository.note(session, draft_id, f"outcome unknown: {error}")
        look_up = jobs.Job(look_up_at, {"draftId": str(draft_id)})
        await jobs.enqueue(session, RECONCILE_SEND, workspace_id, [look_up], max_attempts=8)


async def resume(
    session: AsyncSession,
    workspace_id: UUID,
    *,
    sequence_id: UUID | None,
    enrollment_ids: Sequence[UUID] | None,
    now: datetime,
) -> None:
    """Put what a pause left waiting back on the queue: drafts to send, drafts to write, steps to schedule."""
    waiting = partial(
        repository.waiting_drafts, session, workspace_id, sequence_id=sequence_id, enrollment_ids=enrollment_ids
    )
    # A send that runs may have found the pause and end without sending.
    to_send = await waiting(DraftStatus.REVIEWED, SEND_EMAIL, unless={JobStatus.PENDING})
    await drafts.send_when_due(session, workspace_id, to_send, now)
    # Who writes asks for no pause, and a second text would be paid for twice.
    to_write = await waiting(DraftStatus.PENDING, GENERATE_DRAFT, unless=OPEN)
    await drafts.write(session, workspace_id, to_write, now)
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
    connection = await _connection_of(session, workspace.id)
    held_by_all = judge.holds(candidate, connection)
    if candidate.draft.status not in UNSENT or candidate.outcome is not None:
        return Explained(enrollment, step, candidate, None, held_by_all)
    job = await pacing.find_job(session, workspace.id, candidate.draft.id, SEND_EMAIL)
    if job is None and not held_by_all:
        held_by_all = ["no job is there to send it; approve it again, or resume the enrollment"]
    asked = await pacing.asked_before(session, workspace, SEND_EMAIL, job, now) if job else {}
    ahead = {one.draft.id: one for one in await repository.read(session, workspace.id, list(asked))}
    mails = _domains({candidate.draft.id: candidate, **ahead})
    terms = Terms(workspace, connection, await pacing.read_places(session, workspace, now, mails))
    _let_go_first(terms, [(ahead[one], at) for one, at in asked.items() if one in ahead])
    previous = await repository.last_sent(session, enrollment_id) or enrollment.enrolled_at
    try:
        time_ = judge.time_explained(candidate, step, terms, previous, job[1] if job else now, now)
    except NoSendingTime as error:
        return Explained(enrollment, step, candidate, None, [*held_by_all, str(error)])
    return Explained(enrollment, step, candidate, time_, held_by_all)


def _domains(candidates: Mapping[UUID, Candidate]) -> dict[UUID, str]:
    return {draft_id: domain_of(candidate.lead.email) for draft_id, candidate in candidates.items()}


def _let_go_first(terms: Terms, ahead: Sequence[tuple[Candidate, datetime]]) -> None:
    """Give those that ask before, each at its time, the turns that they will be given."""
    for candidate, asked_at in ahead:
        if not judge.holds(candidate, terms.connection):
            with contextlib.suppress(NoSendingTime):
                at = judge.time_of(candidate, terms, asked_at).at
                terms.places.keep(candidate.draft.id, domain_of(candidate.lead.email), at)
