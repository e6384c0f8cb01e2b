"""Makes all callers of one host wait when the host throttles one of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager


class HostThrottle:
    """Lets callers through until the host throttles one; then pauses them until a later request is answered.

    After the pause callers go one at a time, because the host has not said that it can serve all of them at once.
    """

    def __init__(self) -> None:
        self._paused_until: float | None = None
        self._paused_at = 0.0
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[float]:
        """Wait until a request may be sent, and send it within the block; yields the loop time after the wait."""
        async with AsyncExitStack() as lock:
            if self._paused_until is not None:
                await lock.enter_async_context(self._one_at_a_time)
                # Check again after each sleep: another caller may have been throttled for longer in the meantime.
                while seconds := self._remaining_seconds():  # noqa: ASYNC110 - it waits for a time
                    await asyncio.sleep(seconds)
                if self._paused_until is None:
                    # The pause was lifted in the meantime, so the others need not wait for this request.
                    await lock.aclose()
            yield asyncio.get_running_loop().time()

    def pause(self, seconds: float) -> None:
        """Pause all callers for this long from now on; a longer pause that is already set stays."""
        self._paused_at = asyncio.get_running_loop().time()
        self._paused_until = max(self._paused_until or 0.0, self._paused_at + seconds)

    def resume(self, requested_at: float) -> None:
        """Lift the pause, unless the answered request was sent before the last pause began."""
        if requested_at >= self._paused_at:
            self._paused_until = None

    def _remaining_seconds(self) -> float:
        """Return how long the pause still lasts."""
        return max((self._paused_until or 0.0) - asyncio.get_running_loop().time(), 0.0)
