"""Claims drafts for sending, and records what the provider did with them."""

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
from api.delivery.sending import eligibility, repository
from api.delivery.sending.eligibility import Allowed, Candidate, Deferred, Denied, Eligibility, SendContext
from api.delivery.sending.repository import ClaimRun, NextStep
from api.delivery.slots import schedule
from api.delivery.slots import service as slots
from api.http.errors import NotFound
from api.outreach.drafts import service as drafts
from api.outreach.enrollment_status import service as enrollment_status
from api.outreach.sequences import service as sequences
from api.outreach.sequences.service import Refusal
from api.people.leads import service as leads
from api.people.suppressions import service as suppressions
from database import jobs
from database.models import EmailDraft, EverlyticConnection, SendOutcome, SequenceStep, Workspace
from domain import breaker
from domain.draft import DraftEvent, DraftStatus
from domain.enrollment import EnrollmentEvent, EnrollmentStatus
from domain.job import OPEN_STATUSES, JobStatus
from domain.job_types import GENERATE_DRAFT, RECONCILE_SEND, SEND_EMAIL
from domain.lead import LeadEvent
from domain.suppression import extract_domain

CLAIM_TAKEN_OVER = "the job that claimed the mail was taken over by another run"
CLAIM_LOST = "the worker stopped after claiming the mail, before recording the result"
UNSENT = frozenset({DraftStatus.PENDING, DraftStatus.DRAFTED, DraftStatus.REVIEWED})


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A draft that a job requests to send now."""

    draft_id: UUID
    now: datetime
    job_id: UUID
    public_url: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """The permission to call the provider once for a draft; it is committed with the transaction that returned it."""

    candidate: Candidate
    workspace: Workspace
    connection: EverlyticConnection
    as_of: float
    """The `time.monotonic()` up to which no committed change forbids the call."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The provider accepted a draft; `transaction_id` is its id there, None if it is unknown."""

    draft_id: UUID
    transaction_id: str | None
    now: datetime


async def claim_drafts(
    session: AsyncSession, workspace_id: UUID, requests: Sequence[SendRequest]
) -> list[Claim | Deferred | Denied]:
    """Claim drafts for sending; everything that may forbid it is read again under locks in this transaction.

    The transaction writes claims and slots only. Blocked drafts are marked by `block_drafts` in a later transaction,
    because that takes exclusive locks. Earlier requests get earlier slots.
    """
    workspace = await workspaces.lock_to_send(session, workspace_id)
    connection = await find_connection(session, workspace_id)
    now = max(request.now for request in requests)
    jobs_by_draft = {request.draft_id: request.job_id for request in reversed(requests)}
    requested_ids = sorted({request.draft_id for request in requests})
    await repository.lock_to_claim(session, workspace_id, requested_ids)
    # Last, as in transactions that suppress (database/locks.py); what is read after it includes all suppressions.
    await suppressions.lock_suppressions_shared(session, workspace.account_id)
    listed = await repository.list_candidates(session, workspace_id, requested_ids)
    candidates = {candidate.draft.id: candidate for candidate in listed}
    ledger = await slots.read_slot_ledger(session, workspace, now, map_domains(candidates))
    problems = workspaces.list_identity_problems(workspace, connection, requests[0].public_url)
    context = SendContext(workspace, connection, ledger, problems)
    decisions: dict[UUID, Eligibility] = {}
    for draft_id in dict.fromkeys(request.draft_id for request in requests):
        if (candidate := candidates.get(draft_id)) is not None:
            decisions[draft_id] = _assign_slot(candidate, context, now, jobs_by_draft[draft_id])
    await _limit_to_probe(session, context, candidates, decisions, now)
    to_claim = [
        (candidates[draft_id], jobs_by_draft[draft_id])
        for draft_id, decision in decisions.items()
        if isinstance(decision, Allowed)
    ]
    claimed_ids = await repository.insert_claims(session, workspace, to_claim, now)
    await slots.write_slot_ledger(session, workspace_id, ledger, now)
    as_of = time.monotonic()
    claims = {
        draft_id: Claim(candidates[draft_id], workspace, connection, as_of)
        for draft_id in claimed_ids
        if connection is not None
    }
    return [_get_answer(request.draft_id, claims, decisions) for request in requests]


def _assign_slot(candidate: Candidate, context: SendContext, now: datetime, job_id: UUID) -> Eligibility:
    """Check a draft, and use, reserve or release its send slot accordingly."""
    decision = eligibility.check_eligibility(candidate, context, now, job_id)
    draft_id, domain = candidate.draft.id, extract_domain(candidate.lead.email)
    match decision:
        case Allowed():
            context.slots.use(draft_id, domain, now)
        case Deferred():
            context.slots.reserve(draft_id, domain, decision.at)
        case Denied():
            context.slots.release(draft_id)
    return decision


async def _limit_to_probe(
    session: AsyncSession,
    context: SendContext,
    candidates: Mapping[UUID, Candidate],
    decisions: dict[UUID, Eligibility],
    now: datetime,
) -> None:
    """Allow one draft to a provider that did not accept the last mails, and none while another probe is on its way."""
    connection = context.connection
    allowed_ids = [draft_id for draft_id, decision in decisions.items() if isinstance(decision, Allowed)]
    if connection is None or not allowed_ids:
        return
    admission = breaker.decide_admission(connection.failures, connection.blocked_until, now)
    if isinstance(admission, breaker.SingleProbe):
        # The update of the connection succeeds in one transaction only, so one claim gets the probe.
        is_ours = await workspaces.lock_for_probe(session, connection, admission.until)
        reason, until = connection.blocked_reason, connection.blocked_until or now
        for draft_id in allowed_ids[is_ours:]:
            decisions[draft_id] = Deferred(until, reason or "Everlytic did not accept the last mails")
            context.slots.reschedule(draft_id, extract_domain(candidates[draft_id].lead.email), now, until)


def _get_answer(
    draft_id: UUID, claims: dict[UUID, Claim], decisions: Mapping[UUID, Eligibility]
) -> Claim | Deferred | Denied:
    """Return the answer to a request; of several requests for one draft, only the first gets the claim."""
    if (claim := claims.pop(draft_id, None)) is not None:
        return claim
    decision = decisions.get(draft_id, Denied("there is no such draft"))
    return Denied("another job is sending it") if isinstance(decision, Allowed) else decision


async def find_connection(session: AsyncSession, workspace_id: UUID) -> EverlyticConnection | None:
    """Return the workspace's connection, or None if it has none."""
    with contextlib.suppress(NotFound):
        return await workspaces.find_connection(session, workspace_id)
    return None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What has stopped a draft since it was claimed, None if nothing has; it includes all changes until `as_of`."""

    stop_reason: str | None
    blocked_until: datetime | None
    """Nothing is sent through the connection before this time."""
    as_of: float


async def confirm_claims(session: AsyncSession, workspace_id: UUID, runs: Sequence[ClaimRun]) -> list[Confirmation]:
    """Return for each claimed draft whether the run that claimed it may still send it, as of a `time.monotonic()`."""
    as_of = time.monotonic()
    states = await repository.get_send_states(session, workspace_id, [run.draft_id for run in runs])
    held = await repository.list_held_drafts(session, workspace_id, runs)
    confirmations = []
    for run in runs:
        state, connection = states.get(run.draft_id, (None, None))
        stop_reason = eligibility.find_stop_reason(state, connection) if state else "its workspace was deleted"
        if stop_reason is None and run.draft_id not in held:
            stop_reason = CLAIM_TAKEN_OVER
        confirmations.append(Confirmation(stop_reason, connection.blocked_until if connection else None, as_of))
    return confirmations


async def block_drafts(session: AsyncSession, workspace_id: UUID, requests: Sequence[SendRequest]) -> list[None]:
    """Fail each draft that can never be sent, with the reason, and pause the enrollments of its lead."""
    now = max(request.now for request in requests)
    requested_ids = sorted({request.draft_id for request in requests})
    blocked: dict[str, list[Candidate]] = {}
    for candidate in await repository.lock_candidates(session, workspace_id, requested_ids):
        # A draft with an attempt may have been sent, so it does not fail.
        if candidate.block_reason is not None and candidate.outcome is None:
            blocked.setdefault(candidate.block_reason, []).append(candidate)
    for reason, candidates in blocked.items():
        lead_ids = sorted({candidate.lead.id for candidate in candidates})
        await enrollment_status.apply_event_to_leads(
            session, workspace_id, EnrollmentEvent.PAUSED, lead_ids, cause=reason, now=now
        )
        draft_ids = [candidate.draft.id for candidate in candidates]
        await repository.fail_drafts(session, workspace_id, draft_ids, DraftEvent.BLOCKED, reason)
    return [None] * len(requests)


async def record_acceptances(
    session: AsyncSession, workspace_id: UUID, acceptances: Sequence[Acceptance]
) -> list[None]:
    """Record the mails that the provider accepted, once each, and schedule the next steps of their enrollments."""
    now = max(acceptance.now for acceptance in acceptances)
    transaction_ids = {acceptance.draft_id: acceptance.transaction_id for acceptance in reversed(acceptances)}
    candidates = await repository.lock_candidates(session, workspace_id, sorted(transaction_ids))
    newly_sent = await repository.record_acceptances(session, workspace_id, transaction_ids, now)
    accepted = [candidate for candidate in candidates if candidate.draft.id in newly_sent]
    if accepted:
        lead_ids = sorted({candidate.lead.id for candidate in accepted})
        await leads.apply_event(session, workspace_id, lead_ids, LeadEvent.EMAIL_SENT, cause="email sent", now=now)
        await _schedule_next_steps(session, workspace_id, accepted, now)
    return [None] * len(acceptances)


async def _schedule_next_steps(
    session: AsyncSession, workspace_id: UUID, sent: Sequence[Candidate], now: datetime
) -> None:
    """Schedule the step after each sent draft, or complete its enrollment; the caller has locked them to change."""
    continuing = [
        candidate
        for candidate in sent
        if candidate.enrollment.status in {EnrollmentStatus.ACTIVE, EnrollmentStatus.PAUSED}
    ]
    if not continuing:
        return
    workspace = await workspaces.find_workspace(session, workspace_id)
    next_steps, completed_ids = [], []
    for candidate, step in await _find_next_steps(session, workspace_id, continuing):
        if step is None:
            completed_ids.append(candidate.enrollment.id)
            continue
        previous, delay = candidate.draft.sent_at or now, schedule.get_step_delay(step)
        step_time = schedule.find_step_time(workspace, candidate.lead.timezone, now=now, previous=previous, delay=delay)
        next_steps.append(NextStep(candidate.draft, step, step_time.at))
    await enrollment_status.complete_enrollments(session, workspace_id, completed_ids, now)
    if next_steps:
        new_draft_ids = await repository.schedule_next_steps(session, workspace_id, next_steps)
        await drafts.enqueue_generation(session, workspace_id, new_draft_ids, now)


async def _find_next_steps(
    session: AsyncSession, workspace_id: UUID, sent: Sequence[Candidate]
) -> list[tuple[Candidate, SequenceStep | None]]:
    """Return each sent draft with its next step, None after the last; an enrollment with an unsent draft is left out.

    The next step follows the one just sent in the current order of the steps; steps that have a draft are skipped.
    """
    sequence_ids = {candidate.sequence.id for candidate in sent}
    await repository.lock_sequences(session, workspace_id, sequence_ids)
    steps: dict[UUID, list[SequenceStep]] = {}
    for step in await repository.list_steps(session, sequence_ids):
        steps.setdefault(step.sequence_id, []).append(step)
    drafted_steps: dict[UUID, set[UUID]] = {}
    with_unsent_draft: set[UUID] = set()
    for enrollment_id, step_id, status in await repository.list_drafts(
        session, workspace_id, [candidate.enrollment.id for candidate in sent]
    ):
        drafted_steps.setdefault(enrollment_id, set()).add(step_id)
        if status in UNSENT:
            with_unsent_draft.add(enrollment_id)
    return [
        (
            candidate,
            _find_step_after(
                candidate.draft.step_id, steps[candidate.sequence.id], drafted_steps[candidate.enrollment.id]
            ),
        )
        for candidate in sent
        if candidate.enrollment.id not in with_unsent_draft
    ]


def _find_step_after(
    last_step_id: UUID, steps: Sequence[SequenceStep], drafted_steps: Collection[UUID]
) -> SequenceStep | None:
    remaining = dropwhile(lambda step: step.id != last_step_id, steps)
    return next((step for step in remaining if step.id not in drafted_steps), None)


async def record_rejection(session: AsyncSession, workspace_id: UUID, draft_id: UUID, error: str) -> None:
    """Record that the provider refused a mail permanently."""
    if await repository.record_outcome(session, draft_id, SendOutcome.REJECTED, error):
        await repository.fail_drafts(session, workspace_id, [draft_id], DraftEvent.SEND_REFUSED, error)


async def release_claim(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, now: datetime, job_id: UUID | None = None
) -> None:
    """Release a claim (of this job, if given) whose call had no effect, so that the draft can be claimed again."""
    if await repository.release_claim(session, workspace_id, draft_id, job_id) is SendOutcome.UNKNOWN:
        # The worker had been presumed lost and its job has ended, so the draft needs a new job.
        await repository.set_error_reason(session, draft_id, None)
        await drafts.enqueue_sends(session, workspace_id, [draft_id], now)


async def record_unknown_outcome(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, error: str, look_up_at: datetime
) -> None:
    """Record that it is unknown whether the provider took a mail, and enqueue its lookup; it is not sent again."""
    if await repository.record_outcome(session, draft_id, SendOutcome.UNKNOWN, error):
        await repository.set_error_reason(session, draft_id, f"outcome unknown: {error}")
        job = jobs.Job(look_up_at, {"draftId": str(draft_id)})
        await jobs.enqueue(session, RECONCILE_SEND, workspace_id, [job], max_attempts=8)


async def record_lost_claim(session: AsyncSession, workspace_id: UUID, draft_id: UUID, now: datetime) -> None:
    """Record that the worker that claimed a draft stopped, and enqueue the lookup of the mail at once."""
    await record_unknown_outcome(session, workspace_id, draft_id, CLAIM_LOST, now)


async def requeue_waiting_work(
    session: AsyncSession,
    workspace_id: UUID,
    *,
    sequence_id: UUID | None,
    enrollment_ids: Sequence[UUID] | None,
    now: datetime,
) -> None:
    """Enqueue what a pause has stopped: drafts to send, drafts to write, and next steps to schedule."""
    list_waiting = partial(
        repository.list_waiting_drafts, session, workspace_id, sequence_id=sequence_id, enrollment_ids=enrollment_ids
    )
    # A running send job does not count: it may have seen the pause, and then it ends without sending.
    to_send = await list_waiting(DraftStatus.REVIEWED, SEND_EMAIL, job_statuses={JobStatus.PENDING})
    await drafts.enqueue_sends(session, workspace_id, to_send, now)
    # A running generation job counts: it ignores pauses, and a second text would cost a second model call.
    to_write = await list_waiting(DraftStatus.PENDING, GENERATE_DRAFT, job_statuses=OPEN_STATUSES)
    await drafts.enqueue_generation(session, workspace_id, to_write, now)
    if enrollment_ids is not None:
        idle_ids = await repository.list_idle_drafts(session, workspace_id, enrollment_ids)
        idle = await repository.lock_candidates(session, workspace_id, idle_ids)
        await _schedule_next_steps(session, workspace_id, idle, now)


def map_domains(candidates: Mapping[UUID, Candidate]) -> dict[UUID, str]:
    """Return the domain that each draft is sent to."""
    return {draft_id: extract_domain(candidate.lead.email) for draft_id, candidate in candidates.items()}


async def pause_after_report(session: AsyncSession, draft: EmailDraft, reason: str | None, now: datetime) -> None:
    """Pause the sequence of a mail after a bounce or complaint if too many came, and all sequences with a `reason`.

    Call it last in a transaction: sequences are locked after leads and enrollments (database/locks.py).
    """
    refusal = Refusal(reason, draft.sent_at or now) if reason is not None else None
    await sequences.pause_unhealthy_sequences(session, draft.workspace_id, {draft.sequence_id}, refusal)
