"""The sandbox's virtual clock: an affine transform of real time, or real time that tests can advance."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(slots=True)
class Clock:
    """Virtual now = ``virtual`` + (real now - ``real``) * ``speed``, all in epoch seconds.

    ``is_adjustable`` says that no external clock was given, so that ``advance`` may move it forward.
    """

    real: float = 0.0
    virtual: float = 0.0
    speed: float = 1.0
    is_adjustable: bool = True

    @classmethod
    def start_at(cls, text: str) -> "Clock":
        """Return an adjustable clock that starts at an ISO instant with offset, at the speed of real time."""
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None:
            message = f"The start {text!r} cannot be parsed; write an ISO instant with offset."
            raise ValueError(message)
        return cls(time.time(), instant.timestamp())

    @classmethod
    def parse(cls, text: str | None) -> "Clock":
        """Parse ``<real epoch seconds>,<virtual ISO instant with offset>,<speed>``; an empty text means real time."""
        if not text:
            return cls()
        try:
            real, virtual, speed = text.split(",")
            instant = datetime.fromisoformat(virtual)
            clock = cls(float(real), instant.timestamp(), float(speed), is_adjustable=False)
        except ValueError:
            instant, clock = None, None
        if clock is None or instant is None or instant.tzinfo is None or clock.speed <= 0:
            message = (
                f"The clock {text!r} cannot be parsed; "
                "write <real epoch seconds>,<ISO instant with offset>,<speed above 0>."
            )
            raise ValueError(message)
        return clock

    def now(self) -> float:
        """Return the virtual time in epoch seconds."""
        return self.virtual + (time.time() - self.real) * self.speed

    @staticmethod
    def real_now() -> float:
        """Return the real time in epoch seconds, for HTTP dates."""
        return time.time()

    def real_seconds_until(self, moment: float) -> float:
        """Return the real seconds until the virtual ``moment``, negative when it has passed."""
        return (moment - self.now()) / self.speed

    def advance(self, seconds: float) -> None:
        """Move an adjustable clock forward by virtual seconds."""
        self.virtual += seconds


def format_iso(moment: float) -> str:
    """Return a virtual instant as ISO 8601 in UTC with whole seconds."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
