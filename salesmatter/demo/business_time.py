"""The demo's accelerated business clock, which starts on a weekend some weeks ago."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import time as clock_time
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Africa/Johannesburg")
WEEKS_AGO = 4
SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class BusinessTime:
    """Business time that is `virtual_start` at the epoch second `real_start` and runs at `speed` times real time."""

    real_start: float
    virtual_start: datetime
    speed: float

    @classmethod
    def starting_before_monday(cls, at: clock_time, *, in_seconds: float, day_seconds: float) -> "BusinessTime":
        """Return a clock that reaches a Monday at time `at` in `in_seconds`, and whose days last `day_seconds`.

        The demo's preparation before that falls on a weekend, when no mail is sent.
        """
        today = datetime.now(ZONE).date()
        monday = today - timedelta(days=today.weekday(), weeks=WEEKS_AGO)
        return cls(time.time() + in_seconds, datetime.combine(monday, at, ZONE), SECONDS_A_DAY / day_seconds)

    def __str__(self) -> str:
        """Return the clock in the format of SALESMATTER_CLOCK and the sandbox's --clock."""
        return f"{self.real_start},{self.virtual_start.isoformat()},{self.speed}"

    def now(self) -> datetime:
        """Return the current business time, in the workspace's timezone."""
        return self.virtual_start + timedelta(seconds=self.to_business_seconds(time.time() - self.real_start))

    def to_business_seconds(self, real_seconds: float) -> float:
        """Return how many business seconds pass in `real_seconds`."""
        return real_seconds * self.speed
