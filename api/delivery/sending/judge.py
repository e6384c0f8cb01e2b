"""May this mail go out, and when: the one judge whom the claim asks and who explains."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from api.delivery.sending.repository import Candidate, Standing
from api.delivery.slots.service import Places
from api.outreach.enrollments.service import delay_of, hours_of, sending_hours
from database.models import EverlyticConnection, SendOutcome, SequenceStep, Workspace
from domain.draft import DraftStatus
from domain.enrollment import EnrollmentStatus
from domain.errors import NoSendingTime
from domain.schedule import Constraint, Held, NotBefore, Rule, SendingTime, sending_time
from domain.sequence import SequenceStatus
from domain.suppression import domain_of

NOTHING_TO_SEND = "its last mail was sent and no other is scheduled"
ASK_AGAIN = timedelta(days=1)
"""When a mail that finds no time within the schedule's horizon asks for one again."""


@dataclass(frozen=True, slots=True)
class Now:
    """The mail may go out now."""


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
class Lost(Never):
    """The draft was claimed by a worker that is gone: whether it called the provider is not known."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a workspace sends: its settings, its connection, and whose turn it is."""

    workspace: Workspace
    connection: EverlyticConnection | None
    places: Places


def judge(candidate: Candidate, terms: Terms, now: datetime, job_id: UUID) -> Now | NotNow | Never:
    """Say whether a draft may be sent now by a job, of which no other run goes on."""
    if candidate.outcome is SendOutcome.CLAIMED and candidate.claimed_by == job_id:
        return Lost("claimed before; its outcome is being looked up")
    if (unready := _unready(candidate)) is not None:
        return Never(unready)
    if candidate.standing.forbidden is not None:
        return Forbidden(candidate.standing.forbidden)
    for waiting in _waits_for(candidate.standing, terms.connection):
        return Never(waiting)
    return _by_time(candidate, terms, now)


def _by_time(candidate: Candidate, terms: Terms, now: datetime) -> Now | NotNow:
    try:
        allowed = time_of(candidate, terms, now)
    except NoSendingTime as error:
        return NotNow(now + ASK_AGAIN, str(error))
    return Now() if allowed.at <= now else NotNow(allowed.at, f"held by {allowed.binding}")


def stopped(standing: Standing, connection: EverlyticConnection | None) -> str | None:
    """Return what has stopped a draft since it was claimed, None if nothing has."""
    if standing.forbidden is not None:
        return standing.forbidden
    return next(_waits_for(standing, connection), None)


def holds(candidate: Candidate, connection: EverlyticConnection | None) -> list[str]:
    """Return all that keeps a mail from going out, whatever the time, a sentence each."""
    found = [*_waits_for(candidate.standing, connection), candidate.standing.forbidden, _unready(candidate)]
    return [one for one in found if one is not None]


def time_of(candidate: Candidate, terms: Terms, now: datetime) -> SendingTime:
    """Return the earliest time at or after `now` at which a draft may leave; raises NoSendingTime."""
    draft, domain = candidate.draft, domain_of(candidate.lead.email)
    turn = terms.places.turn_of(draft.id)
    pace = terms.places.rules_for(draft.id, domain)
    return sending_time(max(turn or now, now), [*_rules_of(candidate, terms), *pace])


def _rules_of(candidate: Candidate, terms: Terms) -> list[Rule]:
    """Return the rules beside the workspace's pace."""
    rules: list[Rule] = [hours_of(terms.workspace, candidate.lead.timezone)]
    if candidate.draft.send_at is not None:
        rules.insert(0, NotBefore(Constraint.STEP_DELAY, candidate.draft.send_at))
    if terms.connection is not None and terms.connection.blocked_until is not None:
        rules.append(NotBefore(Constraint.PROVIDER, terms.connection.blocked_until))
    return rules


def time_explained(
    candidate: Candidate, step: SequenceStep, terms: Terms, previous: datetime, asked_at: datetime, now: datetime
) -> SendingTime:
    """Return when a draft leaves whose job asks at `asked_at`, with all that makes that time; raises NoSendingTime.

    The draft's own time is counted from `previous`, when the step before it left.
    """
    draft = candidate.draft
    at = time_of(candidate, terms, max(asked_at, now)).at
    # What gave it its turn is what would hold it without one.
    terms.places.give_up(draft.id)
    made = time_of(candidate, terms, now)
    considered = list(made.considered)
    if draft.send_at is not None and draft.send_at > now:
        considered = _with_reasons_of_draft(considered, candidate, step, terms.workspace, previous, now)
    if made.at != at:
        # It was promised this time, or told to ask again then, when other things held it.
        considered = [held for held in considered if held[1] < at] + [(Constraint.QUEUE, at)]
    return SendingTime(at, considered[-1][0] if considered else Constraint.NONE, tuple(considered))


def _with_reasons_of_draft(
    considered: list[Held],
    candidate: Candidate,
    step: SequenceStep,
    workspace: Workspace,
    previous: datetime,
    now: datetime,
) -> list[Held]:
    """Put what made the draft's own time in the place of the step's delay."""
    planned = candidate.draft.send_at
    made = sending_hours(workspace, candidate.lead.timezone, now=previous, previous=previous, delay=delay_of(step))
    if made.at != planned:
        # The step, or the workspace's hours, were changed since; what was drafted keeps its time.
        return considered
    later = [held for held in considered if held[0] is not Constraint.STEP_DELAY]
    named = {constraint for constraint, _ in later}
    return [held for held in made.considered if held[1] > now and held[0] not in named] + later


def _unready(candidate: Candidate) -> str | None:
    """Return why the draft itself is nothing that a job could send."""
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
            return _TRIED.get(candidate.outcome) if candidate.outcome else None


_TRIED = {
    SendOutcome.CLAIMED: "it is being sent",
    SendOutcome.UNKNOWN: "it may have been sent: the outcome is unknown and is being looked up",
    SendOutcome.ACCEPTED: "it was sent",
    SendOutcome.REJECTED: "Everlytic refused it",
}


def _waits_for(standing: Standing, connection: EverlyticConnection | None) -> Iterator[str]:
    """Yield what keeps the mail until somebody lifts it, who will then have it asked again."""
    if standing.enrollment_status != EnrollmentStatus.ACTIVE:
        yield f"the enrollment is {standing.enrollment_status}"
    if standing.sequence_deleted_at is not None:
        yield "the sequence was deleted"
    elif standing.sequence_status != SequenceStatus.ACTIVE:
        because = f" ({standing.pause_reason})" if standing.pause_reason else ""
        yield f"the sequence is {standing.sequence_status}{because}"
    if connection is None:
        yield "the workspace has no Everlytic connection"
    elif connection.disabled_at is not None:
        yield f"the Everlytic connection is disabled: {connection.disabled_reason}"
