"""Decides which day a written date means: the order of day and month, the year, and whether it can be trusted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

Order = Literal["day", "month"]
"""What a numeric date begins with."""

MAX_AHEAD = timedelta(days=366)
MAX_TURN_OF_YEAR = timedelta(days=92)
"""How far ahead a date without a year may be that lies in the next year; a note that was forgotten is older."""
MAX_SURE_AHEAD = timedelta(days=183)
"""How far ahead a date of this year may be without asking whether it was in the last one."""
NEAR, FAR = timedelta(days=62), timedelta(days=120)


@dataclass(frozen=True, slots=True)
class WrittenDate:
    """A date as it is written: `readings` are the possible days and months, the likely one first."""

    readings: tuple[tuple[int, int], ...]
    year: int | None = None
    weekdays: frozenset[int] = frozenset()
    hints: frozenset[int] = field(default=frozenset())
    """Weekdays that an abbreviation before the date may mean; it may also be another word."""


def read_date(written: WrittenDate, sent: date, *, is_order_known: bool) -> date | None:
    """Return the day that a date means, in the past too; None if it is invalid, contradictory or ambiguous."""
    if written.weekdays and (written.year is None or len(written.readings) > 1):
        return _choose_by_weekday(written, written.weekdays, sent)
    days = _remove_doubles(day for reading in written.readings if (day := _add_year(reading, written.year, sent)))
    if written.hints and (fitting := [day for day in days if day.weekday() in written.hints]):
        days = fitting
    if written.weekdays:
        days = [day for day in days if day.weekday() in written.weekdays]
    if len(days) < 2:  # noqa: PLR2004 - no choice
        return days[0] if days else None
    return _choose_by_distance(days, sent, is_order_known=is_order_known)


def is_trusted(day: date, sent: date) -> bool:
    """Return whether a day of return is neither past nor more than a year ahead."""
    return sent <= day <= sent + MAX_AHEAD


def _choose_by_weekday(written: WrittenDate, weekdays: frozenset[int], sent: date) -> date | None:
    """Return the reading, in the year nearest to the message, that is on the weekday."""
    years = [written.year] if written.year else [sent.year - 1, sent.year, sent.year + 1]
    for reading in written.readings:
        days = [day for year in years if (day := _make_date(reading, year)) and day.weekday() in weekdays]
        if written.year is None:
            days = [day for day in days if day.year <= sent.year or day - sent <= MAX_SURE_AHEAD]
        if days:
            return min(days, key=lambda day: abs(day - sent))
    return None


def _add_year(reading: tuple[int, int], year: int | None, sent: date) -> date | None:
    """Return a day in the given year, or in the one that a note without a year means."""
    if year is not None:
        return _make_date(reading, year)
    day = _make_date(reading, sent.year)
    if day is None:
        return None
    if day < sent:
        following = _make_date(reading, sent.year + 1)
        return following if following and following - sent <= MAX_TURN_OF_YEAR else day
    if day - sent > MAX_SURE_AHEAD:
        previous = _make_date(reading, sent.year - 1)
        return previous if previous and sent - previous <= MAX_TURN_OF_YEAR else day
    return day


def _choose_by_distance(days: Sequence[date], sent: date, *, is_order_known: bool) -> date | None:
    """Return the likely reading if it is near enough, else one that lies just ahead; None if both are possible."""
    likely, other = days[0], days[1]
    if is_order_known:
        if sent <= likely <= sent + FAR or not sent <= other <= sent + NEAR:
            return likely
        return other
    possible = [day for day in days if is_trusted(day, sent)]
    if len(possible) > 1:
        return None
    return possible[0] if possible else likely


def _make_date(reading: tuple[int, int], year: int) -> date | None:
    try:
        return date(year, reading[1], reading[0])
    except ValueError:
        return None


def _remove_doubles(days: Iterable[date]) -> list[date]:
    return list(dict.fromkeys(days))
