"""When may a step go out? One pure function over rules, asked by the engine and by `explain` alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo

from domain.errors import NoSendingTime

HORIZON_DAYS = 400
"""How far ahead a sending time is looked for: more than a year of holidays and caps."""


class Constraint(StrEnum):
    """What can hold a mail back; the last one that moved the time is the binding one."""

    NONE = "none"
    STEP_DELAY = "step_delay"
    QUEUE = "queue"
    PROVIDER = "provider"
    WEEKDAY = "weekday"
    PUBLIC_HOLIDAY = "public_holiday"
    SENDING_WINDOW = "sending_window"
    DAILY_CAP = "daily_cap"
    SENDING_RATE = "sending_rate"
    DOMAIN_GAP = "domain_gap"


Held = tuple[Constraint, datetime]
"""What forbids a moment, and the next one worth trying, which is later."""


class Rule(Protocol):
    """A set of moments at which a mail may leave.

    The moment it names instead of a forbidden one is never behind the next that it allows.
    """

    def hold(self, moment: datetime) -> Held | None:
        """Return what forbids a moment (UTC), or None when it may be."""


@dataclass(frozen=True, slots=True)
class SendingWindow:
    """Local wall-clock hours in which mail may leave: from `start` up to, not including, `end`."""

    start: time = time(8)
    end: time = time(17)
    weekdays: frozenset[int] = frozenset(range(5))
    """ISO weekdays less one: Monday is 0."""


@dataclass(frozen=True, slots=True)
class StepDelay:
    """How long after the step before: calendar days of the recipient, then hours."""

    days: int = 0
    hours: int = 0


@dataclass(frozen=True, slots=True)
class SendingTime:
    """The earliest moment (UTC) a step may go out, and the constraint that binds it."""

    at: datetime
    binding: Constraint
    considered: tuple[Held, ...]
    """Each constraint that moved the time, with the last time it moved it to, in order."""


@dataclass(frozen=True, slots=True)
class NotBefore:
    """Nothing leaves before `at`."""

    constraint: Constraint
    at: datetime

    def hold(self, moment: datetime) -> Held | None:
        """Hold what is too early."""
        return (self.constraint, self.at.astimezone(UTC)) if moment < self.at else None


def _nothing_on(_day: date) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Hours:
    """Mail leaves in the recipient's sending window, on its weekdays that are no holidays; all of it is local time."""

    zone: ZoneInfo
    window: SendingWindow
    is_holiday: Callable[[date], bool] = _nothing_on

    def hold(self, moment: datetime) -> Held | None:
        """Hold what is outside of the hours until they may open next."""
        today = moment.astimezone(self.zone).date()
        opens, closes = (to_utc(today, clock, self.zone) for clock in (self.window.start, self.window.end))
        if today.weekday() not in self.window.weekdays:
            return Constraint.WEEKDAY, self._opens_after(today)
        if self.is_holiday(today):
            return Constraint.PUBLIC_HOLIDAY, self._opens_after(today)
        if moment < opens:
            return Constraint.SENDING_WINDOW, opens
        if moment >= closes:
            return Constraint.SENDING_WINDOW, self._opens_after(today)
        return None

    def _opens_after(self, day: date) -> datetime:
        return to_utc(day + timedelta(days=1), self.window.start, self.zone)


def sending_time(now: datetime, rules: Sequence[Rule]) -> SendingTime:
    """Return the earliest time at or after `now` that all rules allow.

    Raises NoSendingTime when there is none within HORIZON_DAYS of the first that is neither delayed nor queued.
    """
    moment = now.astimezone(UTC)
    considered: dict[Constraint, datetime] = {}
    horizon = moment + timedelta(days=HORIZON_DAYS)
    while (held := next(filter(None, (rule.hold(moment) for rule in rules)), None)) is not None:
        constraint, moment = held
        if constraint is Constraint.SENDING_WINDOW and next(reversed(considered), None) is Constraint.DAILY_CAP:
            # A day that is full ends at midnight: that the next opens later does not bind.
            constraint = Constraint.DAILY_CAP
        # Of each constraint its last word counts, so that a long weekend reads as one line.
        considered.pop(constraint, None)
        considered[constraint] = moment
        if constraint in _PLANNED:
            horizon = max(horizon, moment + timedelta(days=HORIZON_DAYS))
        elif moment > horizon:
            raise NoSendingTime(f"No sending time within {HORIZON_DAYS} days; the last obstacle is '{constraint}'.")
    binding = next(reversed(considered), Constraint.NONE)
    return SendingTime(moment, binding, tuple(considered.items()))


_PLANNED = {Constraint.STEP_DELAY, Constraint.QUEUE}


def add_delay(start: datetime, delay: StepDelay, zone: ZoneInfo) -> datetime:
    """Return `start` plus the delay, in UTC: days keep the local wall-clock time across DST, hours are elapsed time."""
    local = start.astimezone(zone)
    shifted = to_utc(local.date() + timedelta(days=delay.days), local.time(), zone) if delay.days else start
    return shifted.astimezone(UTC) + timedelta(hours=delay.hours)


def to_utc(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Return a local wall-clock time in UTC: in a DST gap the moment after the gap, in a fold the first of the two."""
    return datetime.combine(day, clock.replace(fold=0), zone).astimezone(UTC)
