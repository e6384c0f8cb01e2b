"""How tests have queued work done, and how they move the business time while they do."""

import time
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from domain.clock import Clock

RunJobs = Callable[[], Coroutine[Any, Any, None]]
"""Works until no job is due or running."""

STANDSTILL = 1e-9
"""A clock so slow that it shows one moment until it is set to another."""


def stop_clock(clock: Clock, at: datetime) -> None:
    """Let the business time stand still at a moment."""
    clock.real_start, clock.virtual_start, clock.speed = time.time(), at, STANDSTILL
