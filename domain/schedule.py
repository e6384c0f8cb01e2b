"""Computes when a step may be sent: one pure function over rules, shared by sending and by explain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo

from domain.errors import NoSendingTime

HORIZON_DAYS = 400
"""How far ahead a sending time is searched: more than a year of holidays and caps."""


class Constraint(StrEnum):
    """The reasons that can defer a mail; the last one that moved the time is the binding one."""

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


Deferral = tuple[Constraint, datetime]
"""The constraint that defers a mail, and the next moment to try, which is later."""


class Rule(Protocol):
    """A set of moments at which a mail may be sent.

    The moment that a deferral names is never later than the next allowed moment.
    """

    def check(self, moment: datetime) -> Deferral | None:
        """Return the deferral of a moment (UTC), or None when the moment is allowed."""


@dataclass(frozen=True, slots=True)
class SendingWindow:
    """The local wall-clock hours for sending: from `start` up to, not including, `end`."""

    start: time = time(8)
    end: time = time(17)
    weekdays: frozenset[int] = frozenset(range(5))
    """As in `date.weekday`: Monday is 0."""


@dataclass(frozen=True, slots=True)
class StepDelay:
    """The delay after the previous step: calendar days of the recipient, then hours."""

    days: int = 0
    hours: int = 0


@dataclass(frozen=True, slots=True)
class SendingTime:
    """The earliest moment (UTC) at which a step may be sent, and the constraint that determines it."""

    at: datetime
    binding: Constraint
    considered: tuple[Deferral, ...]
    """Each constraint that moved the time, in order, with the last moment that it moved the time to."""


@dataclass(frozen=True, slots=True)
class NotBefore:
    """Nothing is sent before `at`."""

    constraint: Constraint
    at: datetime

    def check(self, moment: datetime) -> Deferral | None:
        """Defer a moment before `at`."""
        return (self.constraint, self.at.astimezone(UTC)) if moment < self.at else None


def _no_holidays(_day: date) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class SendingHours:
    """Mail is sent in the recipient's sending window, on its weekdays except holidays, all in local time."""

    zone: ZoneInfo
    window: SendingWindow
    is_holiday: Callable[[date], bool] = _no_holidays

    def check(self, moment: datetime) -> Deferral | None:
        """Defer a moment outside of the sending hours to the next time at which they may start."""
        today = moment.astimezone(self.zone).date()
        start, end = (to_utc(today, clock, self.zone) for clock in (self.window.start, self.window.end))
        if today.weekday() not in self.window.weekdays:
            return Constraint.WEEKDAY, self._next_start(today)
        if self.is_holiday(today):
            return Constraint.PUBLIC_HOLIDAY, self._next_start(today)
        if moment < start:
            return Constraint.SENDING_WINDOW, start
        if moment >= end:
            return Constraint.SENDING_WINDOW, self._next_start(today)
        return None

    def _next_start(self, day: date) -> datetime:
        return to_utc(day + timedelta(days=1), self.window.start, self.zone)


def find_sending_time(now: datetime, rules: Sequence[Rule]) -> SendingTime:
    """Return the earliest time at or after `now` that all rules allow.

    Raises NoSendingTime when there is none within HORIZON_DAYS after the step delay and the queue time have passed.
    """
    moment = now.astimezone(UTC)
    considered: dict[Constraint, datetime] = {}
    horizon = moment + timedelta(days=HORIZON_DAYS)
    while (deferral := next(filter(None, (rule.check(moment) for rule in rules)), None)) is not None:
        constraint, moment = deferral
        if constraint is Constraint.SENDING_WINDOW and next(reversed(considered), None) is Constraint.DAILY_CAP:
            # A full day defers to midnight, before the next window starts. The cap stays the binding constraint.
            constraint = Constraint.DAILY_CAP
        # Keep only the last moment of each constraint, so that a long weekend is one entry.
        considered.pop(constraint, None)
        considered[constraint] = moment
        if constraint in _PLANNED:
            horizon = max(horizon, moment + timedelta(days=HORIZON_DAYS))
        elif moment > horizon:
            raise NoSendingTime(f"No sending time within {HORIZON_DAYS} days; the last constraint is '{constraint}'.")
    binding = next(reversed(considered), Constraint.NONE)
    return SendingTime(moment, binding, tuple(considered.items()))


_PLANNED = {Constraint.STEP_DELAY, Constraint.QUEUE}


def add_delay(start: datetime, delay: StepDelay, zone: ZoneInfo) -> datetime:
    """Return `start` plus the delay in UTC: days keep the local wall-clock time across DST, hours are elapsed time."""
    local = start.astimezone(zone)
    shifted = to_utc(local.date() + timedelta(days=delay.days), local.time(), zone) if delay.days else start
    return shifted.astimezone(UTC) + timedelta(hours=delay.hours)


def to_utc(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Return a local wall-clock time in UTC; in a DST gap the moment after the gap, in a fold the first of the two."""
    return datetime.combine(day, clock.replace(fold=0), zone).astimezone(UTC)
