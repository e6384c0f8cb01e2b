"""Runs callbacks at virtual moments: one heap, processed on the event loop."""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable
from typing import Any

from everlytic.sandbox.clock import Clock

_BATCH = 200
_MIN_WAIT = 0.001

log = logging.getLogger(__name__)


class Scheduler:
    """Runs functions at virtual moments, in order. ``run_due`` is also called after the clock was advanced."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def __len__(self) -> int:
        return len(self._heap)

    def is_overdue(self) -> bool:
        """Return whether a due callback has not run yet."""
        return bool(self._heap) and self._heap[0][0] <= self._clock.now()

    def schedule(self, moment: float, action: Callable[..., None], *arguments: object) -> None:
        """Run ``action(*arguments)`` at the virtual ``moment``, or at once when it has passed."""
        heapq.heappush(self._heap, (moment, next(self._numbers), action, arguments))
        if self._heap[0][0] == moment:
            self._set_timer()

    def clear(self) -> None:
        """Remove all callbacks."""
        self._heap.clear()

    def stop(self) -> None:
        """Run no more callbacks."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def run_due(self) -> None:
        """Run due callbacks, at most one batch at a time so that requests are served in between."""
        now = self._clock.now()
        for _ in range(_BATCH):
            if not self._heap or self._heap[0][0] > now:
                break
            _, _, action, arguments = heapq.heappop(self._heap)
            try:
                action(*arguments)
            except Exception:
                log.exception("a scheduled callback failed")
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap and not self._stopped:
            wait = max(self._clock.real_seconds_until(self._heap[0][0]), _MIN_WAIT)
            self._timer = asyncio.get_running_loop().call_later(min(wait, 3600.0), self.run_due)
