"""Periods of days in the workspace's time zone, both ends included."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from fastapi import Query
from pydantic import Field

from api.http.errors import Malformed

LONGEST_DAYS = 366
DEFAULT_DAYS = 30
EARLIEST, LATEST = date(2000, 1, 1), date(2999, 12, 31)

Day = Annotated[date, Field(ge=EARLIEST, le=LATEST)]
Start = Annotated[Day | None, Query(description="First day, in the workspace's time zone.")]
End = Annotated[Day | None, Query(description="Last day, included.")]


@dataclass(frozen=True, slots=True)
class Period:
    """Local days from `start` to `end`, both included; an end that is None is open. Raises Malformed."""

    start: date | None
    end: date | None

    def __post_init__(self) -> None:
        """Refuse a period that ends before it starts, or that is too long."""
        if self.start is None or self.end is None:
            return
        if self.start > self.end:
            problem = {"location": ["query", "start"], "message": f"must not be after end, {self.end}"}
            raise Malformed("start must not be after end.", errors=[problem])
        if (self.end - self.start).days >= LONGEST_DAYS:
            problem = {"location": ["query", "end"], "message": f"must be at most {LONGEST_DAYS} days after start"}
            raise Malformed(f"The period must be at most {LONGEST_DAYS} days long.", errors=[problem])

    def previous(self) -> "Period | None":
        """Return the period of equal length that ends the day before this one, if both ends are known."""
        if self.start is None or self.end is None:
            return None
        return Period(self.start - (self.end - self.start) - timedelta(days=1), self.start - timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Days:
    """Local days from `start` to `end`, both included and known."""

    start: date
    end: date

    @classmethod
    def of(cls, start: date | None, end: date | None, today: Callable[[], date]) -> "Days":
        """Return the days of a request: 30 days from or to one end, or the last 30 days; raises Malformed."""
        last = end or (start + timedelta(days=DEFAULT_DAYS - 1) if start else today())
        first = start or last - timedelta(days=DEFAULT_DAYS - 1)
        Period(first, last)
        return cls(first, last)
