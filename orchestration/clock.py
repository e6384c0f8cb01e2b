"""What day it is for the business: the real clock, or one that runs faster for a demo or a simulation."""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from orchestration.errors import InvalidClock

EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Business time as an affine picture of real time; the default is real time itself."""

    real_start: float = 0.0
    virtual_start: datetime = EPOCH
    speed: float = 1.0

    def now(self) -> datetime:
        """Return the business time now, in UTC."""
        elapsed = (time.time() - self.real_start) * self.speed
        return (self.virtual_start + timedelta(seconds=elapsed)).astimezone(UTC)

    def today(self) -> date:
        """Return the business day (UTC) that it is now."""
        return self.now().date()


def parse_clock(text: str | None) -> Clock:
    """Return the clock that SALESMATTER_CLOCK describes, real time when there is none; raises InvalidClock."""
    if not text:
        return Clock()
    try:
        real, virtual, speed = text.split(",")
        clock = Clock(float(real), datetime.fromisoformat(virtual), float(speed))
    except ValueError as error:
        raise InvalidClock(
            f"SALESMATTER_CLOCK is '{text}'; it must read <real epoch seconds>,<virtual ISO instant>,<speed>."
        ) from error
    if clock.virtual_start.tzinfo is None or clock.speed <= 0:
        raise InvalidClock("SALESMATTER_CLOCK needs an instant with an offset, and a speed above 0.")
    return clock
