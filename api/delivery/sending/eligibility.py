"""Decides whether a mail may be sent, and when: the same rules for claiming a mail and for explaining its time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from api.delivery.slots.schedule import find_step_time, get_sending_hours, get_step_delay
from api.delivery.slots.service import SlotLedger
from database.models import (
    EmailDraft,
    EverlyticConnection,
    Lead,
    LeadEnrollment,
    SendOutcome,
    Sequence,
    SequenceStep,
    Workspace,
)
from domain.draft import DraftStatus
from domain.enrollment import EnrollmentStatus
from domain.errors import NoSendingTime
from domain.schedule import Constraint, Deferral, NotBefore, Rule, SendingTime, find_sending_time
from domain.sequence import SequenceStatus
from domain.suppression import extract_domain

NOTHING_TO_SEND = "the last mail was sent and no other mail is scheduled"
AWAITS_REVIEW = "a reply of the lead waits for review; correct or confirm its intent"
REVIEW_RETRY = timedelta(minutes=15)
"""When to check a mail again whose lead has sent a reply that waits for a user."""
IDENTITY_RETRY = timedelta(hours=1)
"""When to check a mail again whose sender is incomplete; a change of the workspace checks it at once."""
NO_TIME_RETRY = timedelta(days=1)
"""When to check a mail again for which the schedule finds no time within its horizon."""


@dataclass(frozen=True, slots=True)
class SendState:
    """The states that can stop the sending of a draft at any time."""

    enrollment_status: str
    sequence_status: str
    sequence_deleted_at: datetime | None
    pause_reason: str | None
    block_reason: str | None
    """Why the lead must never be mailed; None if it may be."""
    awaits_review: bool = False
    """Whether a reply of the lead waits for a user."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A draft to send, with the rows that its sending depends on or changes."""

    draft: EmailDraft
    enrollment: LeadEnrollment
    sequence: Sequence
    lead: Lead
    block_reason: str | None
    outcome: SendOutcome | None
    """The outcome of the attempt to send the draft; None without an attempt."""
    claimed_by: UUID | None
    """The job that made the attempt."""
    awaits_review: bool = False
    """Whether a reply of the lead waits for a user."""

    @property
    def send_state(self) -> SendState:
        """The states that can stop its sending."""
        sequence = self.sequence
        return SendState(
            self.enrollment.status,
            sequence.status,
            sequence.deleted_at,
            sequence.pause_reason,
            self.block_reason,
            self.awaits_review,
        )


@dataclass(frozen=True, slots=True)
class Allowed:
    """The mail may be sent now."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """The mail may not be sent before `at`."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Denied:
    """This job does not send the mail: it is done, or it waits for a change that enqueues another job."""

    reason: str


@dataclass(frozen=True, slots=True)
class Blocked(Denied):
    """The mail must never be sent, by any job."""


@dataclass(frozen=True, slots=True)
class ClaimLost(Denied):
    """An earlier run of this job claimed the draft and stopped; whether it called the provider is unknown."""


Eligibility: TypeAlias = Allowed | Deferred | Denied


@dataclass(frozen=True, slots=True)
class SendContext:
    """What a workspace's sending depends on: its settings, its connection and its send slots."""

    workspace: Workspace
    connection: EverlyticConnection | None
    slots: SlotLedger
    identity_problems: tuple[str, ...] = ()
    """Why the workspace may not mail people yet, a sentence each."""


def check_eligibility(candidate: Candidate, context: SendContext, now: datetime, job_id: UUID) -> Eligibility:
    """Return whether a job may send a draft now. Only one run of a job is active at a time."""
    if candidate.outcome is SendOutcome.CLAIMED and candidate.claimed_by == job_id:
        return ClaimLost("an earlier run claimed the mail and did not finish; its outcome is being looked up")
    if (problem := _find_draft_problem(candidate)) is not None:
        return Denied(problem)
    if candidate.block_reason is not None:
        return Blocked(candidate.block_reason)
    for pause in _list_pauses(candidate.send_state, context.connection):
        return Denied(pause)
    return _find_hold(candidate, context, now) or _check_time(candidate, context, now)


def _find_hold(candidate: Candidate, context: SendContext, now: datetime) -> Deferred | None:
    """Return what holds the mail until a user acts, with the time of the next check."""
    if candidate.awaits_review:
        return Deferred(now + REVIEW_RETRY, AWAITS_REVIEW)
    if context.identity_problems:
        return Deferred(now + IDENTITY_RETRY, "; ".join(context.identity_problems))
    return None


def _check_time(candidate: Candidate, context: SendContext, now: datetime) -> Allowed | Deferred:
    try:
        earliest = find_send_time(candidate, context, now)
    except NoSendingTime as error:
        return Deferred(now + NO_TIME_RETRY, str(error))
    return Allowed() if earliest.at <= now else Deferred(earliest.at, f"deferred by {earliest.binding}")


def find_stop_reason(state: SendState, connection: EverlyticConnection | None) -> str | None:
    """Return what has stopped a draft since it was claimed, None if nothing has."""
    if state.block_reason is not None:
        return state.block_reason
    return next(_list_pauses(state, connection), AWAITS_REVIEW if state.awaits_review else None)


def list_hold_reasons(
    candidate: Candidate, connection: EverlyticConnection | None, identity_problems: tuple[str, ...] = ()
) -> list[str]:
    """Return every reason, other than time, why a mail is not sent, a sentence each."""
    reasons = [
        *_list_pauses(candidate.send_state, connection),
        *identity_problems,
        AWAITS_REVIEW if candidate.awaits_review else None,
        candidate.block_reason,
        _find_draft_problem(candidate),
    ]
    return [reason for reason in reasons if reason is not None]


def find_send_time(candidate: Candidate, context: SendContext, now: datetime) -> SendingTime:
    """Return the earliest time at or after `now` at which a draft may be sent; raises NoSendingTime."""
    draft, domain = candidate.draft, extract_domain(candidate.lead.email)
    reserved_time = context.slots.get_reserved_time(draft.id)
    limits = context.slots.get_rules(draft.id, domain)
    return find_sending_time(max(reserved_time or now, now), [*_get_schedule_rules(candidate, context), *limits])


def _get_schedule_rules(candidate: Candidate, context: SendContext) -> list[Rule]:
    """Return the rules other than the send limits of the workspace."""
    rules: list[Rule] = [get_sending_hours(context.workspace, candidate.lead.timezone)]
    if candidate.draft.send_at is not None:
        rules.insert(0, NotBefore(Constraint.STEP_DELAY, candidate.draft.send_at))
    if context.connection is not None and context.connection.blocked_until is not None:
        rules.append(NotBefore(Constraint.PROVIDER, context.connection.blocked_until))
    return rules


def explain_send_time(
    candidate: Candidate, step: SequenceStep, context: SendContext, previous: datetime, job_at: datetime, now: datetime
) -> SendingTime:
    """Return when a draft will be sent by its job that runs at `job_at`, with every constraint that sets the time.

    `previous` is when the step before was sent; the step's delay counts from it. Raises NoSendingTime.
    """
    draft = candidate.draft
    at = find_send_time(candidate, context, max(job_at, now)).at
    # The constraints that gave the draft its reserved slot are those that defer it without the slot.
    context.slots.release(draft.id)
    unreserved = find_send_time(candidate, context, now)
    considered = list(unreserved.considered)
    if draft.send_at is not None and draft.send_at > now:
        considered = _expand_step_delay(considered, candidate, step, context.workspace, previous, now)
    if unreserved.at != at:
        # The slot was reserved, or the job rescheduled, when other constraints applied. Name the rest the queue.
        considered = [deferral for deferral in considered if deferral[1] < at] + [(Constraint.QUEUE, at)]
    return SendingTime(at, considered[-1][0] if considered else Constraint.NONE, tuple(considered))


def _expand_step_delay(
    considered: list[Deferral],
    candidate: Candidate,
    step: SequenceStep,
    workspace: Workspace,
    previous: datetime,
    now: datetime,
) -> list[Deferral]:
    """Replace the step delay by the constraints that set the draft's own time."""
    planned_at, delay = candidate.draft.send_at, get_step_delay(step)
    step_time = find_step_time(workspace, candidate.lead.timezone, now=previous, previous=previous, delay=delay)
    if step_time.at != planned_at:
        # The step or the workspace's hours have changed since; a draft keeps its time.
        return considered
    later = [deferral for deferral in considered if deferral[0] is not Constraint.STEP_DELAY]
    repeated = {constraint for constraint, _ in later}
    return [deferral for deferral in step_time.considered if deferral[1] > now and deferral[0] not in repeated] + later


def _find_draft_problem(candidate: Candidate) -> str | None:
    """Return why the status of a draft, or its attempt, does not allow sending it; None if it does."""
    draft, reason = candidate.draft, candidate.draft.error_reason
    match DraftStatus(draft.status):
        case DraftStatus.PENDING:
            return "the draft is being written"
        case DraftStatus.DRAFTED:
            return "the draft waits for review"
        case DraftStatus.FAILED:
            return f"the draft failed: {reason}" if reason else "the draft failed"
        case DraftStatus.SENT:
            return NOTHING_TO_SEND
        case DraftStatus.REVIEWED:
            return _ATTEMPTED.get(candidate.outcome) if candidate.outcome else None


_ATTEMPTED = {
    SendOutcome.CLAIMED: "the mail is being sent",
    SendOutcome.UNKNOWN: "the mail may have been sent: the outcome is unknown and is being looked up",
    SendOutcome.ACCEPTED: "the mail was sent",
    SendOutcome.REJECTED: "Everlytic refused the mail",
}


def _list_pauses(state: SendState, connection: EverlyticConnection | None) -> Iterator[str]:
    """Yield what pauses the mail until a user changes it; that change enqueues the mail again."""
    if state.enrollment_status != EnrollmentStatus.ACTIVE:
        yield f"the enrollment is {state.enrollment_status}"
    if state.sequence_deleted_at is not None:
        yield "the sequence was deleted"
    elif state.sequence_status != SequenceStatus.ACTIVE:
        pause_reason = f" ({state.pause_reason})" if state.pause_reason else ""
        yield f"the sequence is {state.sequence_status}{pause_reason}"
    if connection is None:
        yield "the workspace has no Everlytic connection"
    elif connection.disabled_at is not None:
        yield f"the Everlytic connection is disabled: {connection.disabled_reason}"
