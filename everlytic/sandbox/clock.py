"""The sandbox's time: virtual seconds, an affine transform of real time, or real time that tests may push forward."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(slots=True)
class Clock:
    """Virtual now = ``virtual`` + (real now - ``real``) * ``speed``, all in epoch seconds.

    ``adjustable`` says that no outer clock was given, so that ``advance`` may push it forward.
    """

    real: float = 0.0
    virtual: float = 0.0
    speed: float = 1.0
    adjustable: bool = True

    @classmethod
    def starting(cls, text: str) -> "Clock":
        """Begin at an ISO instant with offset, at the speed of real time, adjustable."""
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None:
            message = f"The start {text!r} cannot be read; write an ISO instant with offset."
            raise ValueError(message)
        return cls(time.time(), instant.timestamp())

    @classmethod
    def parse(cls, text: str | None) -> "Clock":
        """Read ``<real epoch seconds>,<virtual ISO instant with offset>,<speed>``; nothing means real time."""
        if not text:
            return cls()
        try:
            real, virtual, speed = text.split(",")
            instant = datetime.fromisoformat(virtual)
            clock = cls(float(real), instant.timestamp(), float(speed), adjustable=False)
        except ValueError:
            instant, clock = None, None
        if clock is None or instant is None or instant.tzinfo is None or clock.speed <= 0:
            message = (
                f"The clock {text!r} cannot be read; "
                "write <real epoch seconds>,<ISO instant with offset>,<speed above 0>."
            )
            raise ValueError(message)
        return clock

    def now(self) -> float:
        """Virtual epoch seconds."""
        return self.virtual + (time.time() - self.real) * self.speed

    @staticmethod
    def real_now() -> float:
        """Real epoch seconds, as HTTP dates have them."""
        return time.time()

    def real_seconds_until(self, moment: float) -> float:
        """Real seconds from now until the virtual ``moment``; negative when it has passed."""
        return (moment - self.now()) / self.speed

    def advance(self, seconds: float) -> None:
        """Push an adjustable clock forward by virtual seconds."""
        self.virtual += seconds


def iso(moment: float) -> str:
    """A virtual instant as ISO 8601 in UTC, whole seconds."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
