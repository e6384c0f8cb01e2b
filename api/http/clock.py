"""What time it is for the business: the real clock, or one that runs faster for a demo or a simulation."""

import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime.fromtimestamp(0, UTC)


class InvalidClock(ValueError):
    """SALESMATTER_CLOCK is not '<real epoch seconds>,<virtual ISO instant>,<speed>'."""


class Clock:
    """An affine picture of real time: `virtual_start` at real second `real_start`, running `speed` times as fast."""

    def __init__(self, real_start: float = 0.0, virtual_start: datetime = EPOCH, speed: float = 1.0) -> None:
        self.real_start, self.virtual_start, self.speed = real_start, virtual_start, speed

    @classmethod
    def parse(cls, text: str | None) -> "Clock":
        """Return the clock that SALESMATTER_CLOCK describes, or the real one; raises InvalidClock."""
        if not text:
            return cls()
        try:
            real, virtual, speed = text.split(",")
            parsed = cls(float(real), datetime.fromisoformat(virtual), float(speed))
        except ValueError as error:
            raise InvalidClock(
                f"SALESMATTER_CLOCK is '{text}'; it must read <real epoch seconds>,<virtual ISO instant>,<speed>."
            ) from error
        if parsed.virtual_start.tzinfo is None or parsed.speed <= 0:
            raise InvalidClock("SALESMATTER_CLOCK needs an instant with an offset, and a speed above 0.")
        return parsed

    def __str__(self) -> str:
        return f"{self.real_start},{self.virtual_start.isoformat()},{self.speed}"

    def now(self) -> datetime:
        """Return the business time now, in UTC."""
        elapsed = (time.time() - self.real_start) * self.speed
        return (self.virtual_start + timedelta(seconds=elapsed)).astimezone(UTC)

    def after(self, real_seconds: float) -> datetime:
        """Return the business time that will be shown when `real_seconds` of real time have passed."""
        return self.now() + timedelta(seconds=real_seconds * self.speed)

    def real_seconds_until(self, moment: datetime) -> float:
        """Return how many real seconds pass before the business time is `moment`; negative when it is past."""
        return (moment - self.now()).total_seconds() / self.speed
