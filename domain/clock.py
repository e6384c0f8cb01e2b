"""Business time: real time, or a clock that runs faster for a demo or a simulation."""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

EPOCH = datetime.fromtimestamp(0, UTC)


class InvalidClock(ValueError):
    """SALESMATTER_CLOCK is not `<real epoch seconds>,<ISO instant with offset>,<speed>`."""


@dataclass(slots=True)
class Clock:
    """A linear function of real time: `virtual_start` at real second `real_start`, `speed` times as fast."""

    real_start: float = 0.0
    virtual_start: datetime = EPOCH
    speed: float = 1.0

    @classmethod
    def parse(cls, text: str | None) -> "Clock":
        """Return the clock that SALESMATTER_CLOCK describes, or real time without one; raises InvalidClock."""
        if not text:
            return cls()
        try:
            real, virtual, speed = text.split(",")
            clock = cls(float(real), datetime.fromisoformat(virtual), float(speed))
        except ValueError as error:
            raise InvalidClock(
                f"SALESMATTER_CLOCK is '{text}'; write <real epoch seconds>,<ISO instant with offset>,<speed>."
            ) from error
        if clock.virtual_start.tzinfo is None or clock.speed <= 0:
            raise InvalidClock("SALESMATTER_CLOCK needs an instant with an offset, and a speed above 0.")
        return clock

    def __str__(self) -> str:
        return f"{self.real_start},{self.virtual_start.isoformat()},{self.speed}"

    def now(self) -> datetime:
        """Return the business time now, in UTC."""
        elapsed = (time.time() - self.real_start) * self.speed
        return (self.virtual_start + timedelta(seconds=elapsed)).astimezone(UTC)

    def today(self) -> date:
        """Return the business day (UTC)."""
        return self.now().date()

    def after(self, real_seconds: float) -> datetime:
        """Return the business time after `real_seconds` more of real time."""
        return self.now() + timedelta(seconds=real_seconds * self.speed)

    def real_seconds_until(self, moment: datetime) -> float:
        """Return how many real seconds pass before the business time is `moment`; negative when it is past."""
        return (moment - self.now()).total_seconds() / self.speed
