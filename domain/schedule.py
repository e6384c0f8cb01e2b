"""When may a step go out? One pure function, asked by the engine and by `explain` alike."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from domain.errors import NoSendingTime

HORIZON_DAYS = 400
"""How far ahead a sending time is looked for: more than a year of holidays and caps."""


class Constraint(StrEnum):
    """What can hold a step back; the last one that moved the time is the binding one."""

    NONE = "none"
    STEP_DELAY = "step_delay"
    SENDING_WINDOW = "sending_window"
    WEEKDAY = "weekday"
    PUBLIC_HOLIDAY = "public_holiday"
    DAILY_CAP = "daily_cap"


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
    considered: tuple[tuple[Constraint, datetime], ...]
    """Each constraint that moved the time, with the time it moved it to, in order."""


def _nothing_on(_day: date) -> bool:
    return False


def sending_time(
    *,
    now: datetime,
    previous: datetime | None,
    delay: StepDelay,
    zone: ZoneInfo,
    window: SendingWindow,
    is_holiday: Callable[[date], bool] = _nothing_on,
    is_full: Callable[[date], bool] = _nothing_on,
) -> SendingTime:
    """Return the earliest time at or after `now` at which a step may go out.

    `previous` is when the step before left (None: the first step, whose delay counts from `now`). `is_holiday` and
    `is_full` (the daily cap is used up) answer for a local date. Raises NoSendingTime when nothing fits within
    HORIZON_DAYS.
    """
    due = add_delay(previous or now, delay, zone)
    moment, considered = now.astimezone(UTC), []
    if due > moment:
        moment = due
        considered.append((Constraint.STEP_DELAY, moment))
    horizon = moment + timedelta(days=HORIZON_DAYS)
    while (step := _held_back(moment, zone, window, is_holiday, is_full)) is not None:
        constraint, moment = step
        considered.append(step)
        if moment > horizon:
            raise NoSendingTime(f"No sending time within {HORIZON_DAYS} days; the last obstacle is '{constraint}'.")
    binding = considered[-1][0] if considered else Constraint.NONE
    return SendingTime(at=moment, binding=binding, considered=tuple(_last_word_of_each(considered)))


def add_delay(start: datetime, delay: StepDelay, zone: ZoneInfo) -> datetime:
    """Return `start` plus the delay, in UTC: days keep the local wall-clock time across DST, hours are elapsed time."""
    local = start.astimezone(zone)
    shifted = to_utc(local.date() + timedelta(days=delay.days), local.time(), zone) if delay.days else start
    return shifted.astimezone(UTC) + timedelta(hours=delay.hours)


def to_utc(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Return a local wall-clock time in UTC: in a DST gap the moment after the gap, in a fold the first of the two."""
    return datetime.combine(day, clock.replace(fold=0), zone).astimezone(UTC)


def _held_back(
    moment: datetime,
    zone: ZoneInfo,
    window: SendingWindow,
    is_holiday: Callable[[date], bool],
    is_full: Callable[[date], bool],
) -> tuple[Constraint, datetime] | None:
    """Return the first constraint that forbids `moment` and the next time worth trying, or None if it is free."""
    local = moment.astimezone(zone)
    today = local.date()
    opens, closes = to_utc(today, window.start, zone), to_utc(today, window.end, zone)
    tomorrow = to_utc(today + timedelta(days=1), window.start, zone)
    if today.weekday() not in window.weekdays:
        return Constraint.WEEKDAY, tomorrow
    if is_holiday(today):
        return Constraint.PUBLIC_HOLIDAY, tomorrow
    if moment < opens:
        return Constraint.SENDING_WINDOW, opens
    if moment >= closes:
        return Constraint.SENDING_WINDOW, tomorrow
    if is_full(today):
        return Constraint.DAILY_CAP, tomorrow
    return None


def _last_word_of_each(considered: list[tuple[Constraint, datetime]]) -> Iterator[tuple[Constraint, datetime]]:
    """Keep, of each constraint, only its last word, so that a long weekend reads as one line."""
    last = {constraint: index for index, (constraint, _) in enumerate(considered)}
    for index, (constraint, moment) in enumerate(considered):
        if last[constraint] == index:
            yield constraint, moment
