"""The send limits of a workspace: a daily cap with a ramp-up, a rate limit, and a gap between mails to one domain."""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from domain.schedule import Constraint, Deferral, Rule, to_utc

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MINUTE = 60_000_000
"""In microseconds."""
_NONE_USED: Mapping[Any, int] = {}


@dataclass(frozen=True, slots=True)
class Ramp:
    """A ramp-up: `first` mails on the day `start`, and `step` more on each later sending day."""

    start: date
    first: int
    step: int


class DailyCap:
    """The maximum number of mails per day, in the workspace's time zone.

    `is_sending_day` tells on which days the ramp rises.
    """

    def __init__(self, maximum: int, ramp: Ramp | None, is_sending_day: Callable[[date], bool]) -> None:
        self._maximum, self._ramp, self._is_sending_day = maximum, ramp, is_sending_day
        self._limits: dict[date, int] = {}

    def get_limit(self, day: date) -> int:
        """Return the cap of a day; before the ramp starts it is the ramp's first value."""
        if self._ramp is None:
            return self._maximum
        if day not in self._limits:
            self._limits[day] = min(self._maximum, self._ramp_limit(self._ramp, day))
        return self._limits[day]

    def _ramp_limit(self, ramp: Ramp, day: date) -> int:
        limit, ramp_day = ramp.first, ramp.start
        while ramp_day < day and limit < self._maximum:
            limit += ramp.step if self._is_sending_day(ramp_day) else 0
            ramp_day += DAY
        return limit


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A number of mails per minute, spread evenly over rate windows of equal length and capacity.

    Up to 60 mails a minute, each window holds one mail. Above that, a window lasts about a second and holds several.
    """

    per_minute: int

    @property
    def window_capacity(self) -> int:
        """How many mails a window holds."""
        return -(-self.per_minute // 60)

    @property
    def microseconds(self) -> int:
        """The total length of `per_minute` windows."""
        return MINUTE * self.window_capacity

    def window_at(self, moment: datetime) -> int:
        """Return the number of the window that contains a moment; window 0 starts with the year 1970."""
        return (moment - EPOCH) // MICROSECOND * self.per_minute // self.microseconds

    def window_start(self, window: int) -> datetime:
        """Return the moment at which a window starts."""
        return EPOCH + -(-window * self.microseconds // self.per_minute) * MICROSECOND


@dataclass(frozen=True, slots=True)
class SendLimits:
    """The limits of one workspace, None for no limit; days are those of `zone`."""

    zone: ZoneInfo
    cap: DailyCap | None = None
    rate: RateLimit | None = None
    gap: timedelta | None = None

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit."""
        return not (self.cap is None and self.rate is None and self.gap is None)

    def local_date(self, moment: datetime) -> date:
        """Return the date of a moment in the workspace's time zone."""
        return moment.astimezone(self.zone).date()


class SlotUsage:
    """The send slots of a workspace that are taken; each mail takes one slot under every limit."""

    def __init__(
        self,
        limits: SendLimits,
        days: Mapping[date, int] = _NONE_USED,
        windows: Mapping[int, int] = _NONE_USED,
        moments: Iterable[tuple[datetime, str]] = (),
    ) -> None:
        """Start with the slots taken per day and per rate window, and the moments of mails by domain."""
        self._limits = limits
        self._days, self._windows = Counter(days), dict(windows)
        self._next_window: dict[int, int] = {}
        self._domains: dict[str, list[datetime]] = {}
        for moment, domain in sorted(moments):
            self._domains.setdefault(domain, []).append(moment)

    def add(self, moment: datetime, domain: str, count: int = 1) -> None:
        """Take a slot; a `count` of -1 releases a slot that was taken."""
        limits = self._limits
        if limits.cap is not None:
            self._days[limits.local_date(moment)] += count
        if limits.rate is not None:
            window = limits.rate.window_at(moment)
            self._windows[window] = self._windows.get(window, 0) + count
            if count < 0:
                self._next_window.clear()
        if limits.gap is not None:
            moments = self._domains.setdefault(domain, [])
            if count > 0:
                insort(moments, moment)
            else:
                moments.remove(moment)

    def get_rules(self, domain: str) -> list[Rule]:
        """Return the rules that the next mail to a domain must satisfy."""
        limits, rules = self._limits, list[Rule]()
        if limits.cap is not None:
            rules.append(_DailyCapRule(limits.zone, limits.cap, self._days))
        if limits.rate is not None:
            rules.append(_RateRule(limits.rate, self._windows, self._next_window))
        if limits.gap is not None:
            rules.append(_DomainGapRule(limits.gap, self._domains.get(domain, [])))
        return rules


@dataclass(frozen=True, slots=True)
class _DailyCapRule:
    zone: ZoneInfo
    cap: DailyCap
    days: Mapping[date, int]

    def check(self, moment: datetime) -> Deferral | None:
        today = day = moment.astimezone(self.zone).date()
        while self.days.get(day, 0) >= self.cap.get_limit(day):
            day += DAY
        return None if day == today else (Constraint.DAILY_CAP, to_utc(day, time(0), self.zone))


@dataclass(frozen=True, slots=True)
class _RateRule:
    rate: RateLimit
    windows: Mapping[int, int]
    next_window: dict[int, int]
    """The window to try after a full one, so that a long run of full windows is walked only once."""

    def check(self, moment: datetime) -> Deferral | None:
        first = window = self.rate.window_at(moment)
        while self.windows.get(window, 0) >= self.rate.window_capacity:
            window = self.next_window.get(window, window + 1)
        if window > first:
            self.next_window[first] = window
        return None if window == first else (Constraint.SENDING_RATE, self.rate.window_start(window))


@dataclass(frozen=True, slots=True)
class _DomainGapRule:
    gap: timedelta
    moments: list[datetime]

    def check(self, moment: datetime) -> Deferral | None:
        free, position = moment, bisect_left(self.moments, moment)
        if position and free - self.moments[position - 1] < self.gap:
            free = self.moments[position - 1] + self.gap
        while position < len(self.moments) and self.moments[position] - free < self.gap:
            free = max(free, self.moments[position] + self.gap)
            position += 1
        return None if free == moment else (Constraint.DOMAIN_GAP, free)
