"""The demo's clock: business time runs fast, from a Friday evening some weeks ago over the weeks that followed."""

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
    """Business time is `moment` at the real epoch second `real_moment`, and passes `speed` times as fast."""

    real_moment: float
    moment: datetime
    speed: float

    @classmethod
    def reaching_monday(cls, at: clock_time, *, in_seconds: float, day_seconds: float) -> "BusinessTime":
        """Return a clock that shows a Monday at `at` some real seconds from now, and whose days last `day_seconds`.

        What the demo prepares before then falls on a weekend, when nothing is sent.
        """
        today = datetime.now(ZONE).date()
        monday = today - timedelta(days=today.weekday(), weeks=WEEKS_AGO)
        return cls(time.time() + in_seconds, datetime.combine(monday, at, ZONE), SECONDS_A_DAY / day_seconds)

    def __str__(self) -> str:
        """Return it as SALESMATTER_CLOCK and the sandbox's --clock read it."""
        return f"{self.real_moment},{self.moment.isoformat()},{self.speed}"

    def now(self) -> datetime:
        """Return the business time now, in the workspace's zone."""
        return self.moment + timedelta(seconds=self.lasting(time.time() - self.real_moment))

    def lasting(self, real_seconds: float) -> float:
        """Return how many business seconds pass in `real_seconds`."""
        return real_seconds * self.speed
