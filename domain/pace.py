"""How fast a workspace may send: its daily cap with a ramp-up, its rate, and the gap between mails to one domain."""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from domain.schedule import Constraint, Held, Rule, to_utc

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MINUTE = 60_000_000
NOBODY: Mapping[Any, int] = {}


@dataclass(frozen=True, slots=True)
class Ramp:
    """A careful start: `first` mails on the day `start`, and `step` more on each sending day after it."""

    start: date
    first: int
    step: int


class DailyCap:
    """How many mails may leave on a day of the workspace's own zone.

    `is_sending_day` says on which days the ramp rises.
    """

    def __init__(self, most: int, ramp: Ramp | None, is_sending_day: Callable[[date], bool]) -> None:
        self._most, self._ramp, self._is_sending_day = most, ramp, is_sending_day
        self._known: dict[date, int] = {}

    def on(self, day: date) -> int:
        """Return the cap of a day; before a ramp begins it is what the ramp begins with."""
        if self._ramp is None:
            return self._most
        if day not in self._known:
            self._known[day] = min(self._most, self._ramped(self._ramp, day))
        return self._known[day]

    def _ramped(self, ramp: Ramp, day: date) -> int:
        mails, one = ramp.first, ramp.start
        while one < day and mails < self._most:
            mails += ramp.step if self._is_sending_day(one) else 0
            one += DAY
        return mails


@dataclass(frozen=True, slots=True)
class Rate:
    """So many mails a minute, spread evenly: each short stretch of time takes the same few of them.

    Up to one a second each has a stretch to itself; above that a stretch of about a second takes as many as come in it.
    """

    per_minute: int

    @property
    def each(self) -> int:
        """How many mails a stretch takes."""
        return -(-self.per_minute // 60)

    @property
    def microseconds(self) -> int:
        """How long as many stretches are as mails leave in a minute."""
        return MINUTE * self.each

    def stretch(self, moment: datetime) -> int:
        """Return the number of the stretch a moment lies in."""
        return (moment - EPOCH) // MICROSECOND * self.per_minute // self.microseconds

    def begins(self, stretch: int) -> datetime:
        """Return when a stretch begins."""
        return EPOCH + -(-stretch * self.microseconds // self.per_minute) * MICROSECOND


@dataclass(frozen=True, slots=True)
class Pace:
    """The limits of one workspace; None: no such limit. Days are those of `zone`."""

    zone: ZoneInfo
    cap: DailyCap | None = None
    rate: Rate | None = None
    gap: timedelta | None = None

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit."""
        return not (self.cap is None and self.rate is None and self.gap is None)

    def day(self, moment: datetime) -> date:
        """Return the workspace's day of a moment."""
        return moment.astimezone(self.zone).date()


class Turns:
    """Which turns of a workspace's pace are taken; each mail takes one and leaves the rest to the others."""

    def __init__(
        self,
        pace: Pace,
        days: Mapping[date, int] = NOBODY,
        stretches: Mapping[int, int] = NOBODY,
        moments: Iterable[tuple[datetime, str]] = (),
    ) -> None:
        """How many mails each day and each of the rate's stretches has taken, and when mails to domains leave."""
        self._pace = pace
        self._days, self._stretches = Counter(days), dict(stretches)
        self._free_after: dict[int, int] = {}
        self._domains: dict[str, list[datetime]] = {}
        for moment, domain in sorted(moments):
            self._domains.setdefault(domain, []).append(moment)

    def take(self, moment: datetime, domain: str, number: int = 1) -> None:
        """Take a turn; with -1 a turn that was taken is given back."""
        pace = self._pace
        if pace.cap is not None:
            self._days[pace.day(moment)] += number
        if pace.rate is not None:
            stretch = pace.rate.stretch(moment)
            self._stretches[stretch] = self._stretches.get(stretch, 0) + number
            if number < 0:
                self._free_after.clear()
        if pace.gap is not None:
            moments = self._domains.setdefault(domain, [])
            if number > 0:
                insort(moments, moment)
            else:
                moments.remove(moment)

    def rules(self, domain: str) -> list[Rule]:
        """Return the rules for one mail more to a domain."""
        pace, rules = self._pace, list[Rule]()
        if pace.cap is not None:
            rules.append(_DayIsFull(pace.zone, pace.cap, self._days))
        if pace.rate is not None:
            rules.append(_TooFast(pace.rate, self._stretches, self._free_after))
        if pace.gap is not None:
            rules.append(_TooClose(pace.gap, self._domains.get(domain, [])))
        return rules


@dataclass(frozen=True, slots=True)
class _DayIsFull:
    zone: ZoneInfo
    cap: DailyCap
    days: Mapping[date, int]

    def hold(self, moment: datetime) -> Held | None:
        today = day = moment.astimezone(self.zone).date()
        while self.days.get(day, 0) >= self.cap.on(day):
            day += DAY
        return None if day == today else (Constraint.DAILY_CAP, to_utc(day, time(0), self.zone))


@dataclass(frozen=True, slots=True)
class _TooFast:
    rate: Rate
    stretches: Mapping[int, int]
    free_after: dict[int, int]
    """Behind a full stretch the next worth looking at, so that a long line of them is walked along once."""

    def hold(self, moment: datetime) -> Held | None:
        first = stretch = self.rate.stretch(moment)
        while self.stretches.get(stretch, 0) >= self.rate.each:
            stretch = self.free_after.get(stretch, stretch + 1)
        if stretch > first:
            self.free_after[first] = stretch
        return None if stretch == first else (Constraint.SENDING_RATE, self.rate.begins(stretch))


@dataclass(frozen=True, slots=True)
class _TooClose:
    gap: timedelta
    moments: list[datetime]

    def hold(self, moment: datetime) -> Held | None:
        free, place = moment, bisect_left(self.moments, moment)
        if place and free - self.moments[place - 1] < self.gap:
            free = self.moments[place - 1] + self.gap
        while place < len(self.moments) and self.moments[place] - free < self.gap:
            free = max(free, self.moments[place] + self.gap)
            place += 1
        return None if free == moment else (Constraint.DOMAIN_GAP, free)
