"""May this mail go out, and when: the one judge whom the claim asks and who explains."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from api.enrollments.service import delay_of, sending_hours
from api.sending.repository import Candidate
from database.models import EverlyticConnection, SendOutcome, SequenceStep, Workspace
from domain.draft import DraftStatus
from domain.enrollment import EnrollmentStatus
from domain.schedule import Constraint, SendingTime, to_utc
from domain.sequence import SequenceStatus

NOTHING_TO_SEND = "its last mail was sent and no other is scheduled"


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


class Room:
    """How many mails the workspace may still send on its day of `now`; None: as many as it likes."""

    def __init__(self, workspace: Workspace, now: datetime, left: int | None) -> None:
        self._now, self._left = now, left
        self._midnight = _midnight_after(workspace, now)

    def is_full_in(self, zone: str) -> Callable[[date], bool]:
        """Return what says whether the daily cap is used up on a day of a zone.

        The cap is of the workspace's day; in another zone that may be parts of two.
        """
        last = self._midnight - timedelta(microseconds=1)
        days = {moment.astimezone(ZoneInfo(zone)).date() for moment in (self._now, last)}
        return lambda day: self._left is not None and self._left <= 0 and day in days

    def take(self) -> None:
        """Count one mail more."""
        if self._left is not None:
            self._left -= 1


def start_of_day(workspace: Workspace, now: datetime) -> datetime:
    """Return when the workspace's day of `now` began."""
    zone = ZoneInfo(workspace.timezone)
    return to_utc(now.astimezone(zone).date(), time(0), zone)


def _midnight_after(workspace: Workspace, now: datetime) -> datetime:
    zone = ZoneInfo(workspace.timezone)
    return to_utc(now.astimezone(zone).date() + timedelta(days=1), time(0), zone)


def judge(
    candidate: Candidate,
    workspace: Workspace,
    connection: EverlyticConnection | None,
    now: datetime,
    room: Room,
    *,
    is_again: bool,
) -> Now | NotNow | Never:
    """Say whether a draft may be sent now; `is_again`: the job ran before, and may have been lost after it claimed."""
    if is_again and candidate.outcome is SendOutcome.CLAIMED:
        return Lost("claimed before; its outcome is being looked up")
    if (unready := _unready(candidate)) is not None:
        return Never(unready)
    if candidate.forbidden is not None:
        return Forbidden(candidate.forbidden)
    for waiting in _waits_for(candidate, connection):
        return Never(waiting)
    allowed = time_of(candidate, workspace, now, room)
    if allowed.at > now:
        return NotNow(allowed.at, f"held by {allowed.binding}")
    return Now()


def holds(candidate: Candidate, connection: EverlyticConnection | None) -> list[str]:
    """Return all that keeps a mail from going out, whatever the time, a sentence each."""
    found = [*_waits_for(candidate, connection), candidate.forbidden, _unready(candidate)]
    return [one for one in found if one is not None]


def time_of(candidate: Candidate, workspace: Workspace, now: datetime, room: Room) -> SendingTime:
    """Return the earliest time at or after `now` at which the schedule lets a draft leave."""
    zone = candidate.lead.timezone or workspace.timezone
    planned = max(candidate.draft.send_at or now, now)
    return sending_hours(workspace, zone, now=planned, is_full=room.is_full_in(zone))


def time_explained(
    candidate: Candidate, step: SequenceStep, workspace: Workspace, previous: datetime, now: datetime, room: Room
) -> SendingTime:
    """Return `time_of` with what made the draft's own time, counted from `previous`, when the step before it left."""
    allowed = time_of(candidate, workspace, now, room)
    planned = candidate.draft.send_at
    if planned is None or planned <= now:
        return allowed
    zone = candidate.lead.timezone or workspace.timezone
    made = sending_hours(workspace, zone, now=previous, previous=previous, delay=delay_of(step))
    # The step, or the workspace's hours, may have been changed since; what was drafted keeps its time.
    reasons = made.considered if made.at == planned else ((Constraint.STEP_DELAY, planned),)
    later = {constraint for constraint, _ in allowed.considered}
    ahead = [(one, at) for one, at in reasons if at > now and one not in later]
    considered = (*ahead, *allowed.considered)
    return SendingTime(allowed.at, considered[-1][0] if considered else Constraint.NONE, considered)


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


def _waits_for(candidate: Candidate, connection: EverlyticConnection | None) -> Iterator[str]:
    """Yield what keeps the mail until somebody lifts it, who will then have it asked again."""
    if candidate.enrollment.status != EnrollmentStatus.ACTIVE:
        yield f"the enrollment is {candidate.enrollment.status}"
    if candidate.sequence.deleted_at is not None:
        yield "the sequence was deleted"
    elif candidate.sequence.status != SequenceStatus.ACTIVE:
        yield f"the sequence is {candidate.sequence.status}"
    if connection is None:
        yield "the workspace has no Everlytic connection"
    elif connection.disabled_at is not None:
        yield f"the Everlytic connection is disabled: {connection.disabled_reason}"
