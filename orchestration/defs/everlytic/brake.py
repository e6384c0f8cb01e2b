"""One wait for all who ask the same host: when it turns one of them away, the others hold back too."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager


class Brake:
    """Open until somebody is turned away; then closed for as long as the host said, and opened by who is served first.

    After the wait they try one at a time, because the host has not said that it can take them all at once.
    """

    def __init__(self) -> None:
        self._reopens: float | None = None
        self._closed_at = 0.0
        self._next = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Wait until one may ask, and ask within the block; gives the moment at which it was let through."""
        async with AsyncExitStack() as held:
            if self._reopens is not None:
                await held.enter_async_context(self._next)
                # Again after each wait: the host may have turned another caller away for longer meanwhile.
                while seconds := self._seconds_left():  # noqa: ASYNC110 - it waits for a time
                    await asyncio.sleep(seconds)
                if self._reopens is None:
                    # Somebody was served meanwhile: nobody need wait for this one.
                    await held.aclose()
            yield asyncio.get_running_loop().time()

    def close(self, seconds: float) -> None:
        """Hold everybody back for so long from now on, or for longer if that was asked before."""
        self._closed_at = asyncio.get_running_loop().time()
        self._reopens = max(self._reopens or 0.0, self._closed_at + seconds)

    def open(self, asked_at: float) -> None:
        """Let everybody ask, because somebody was served who was let through after the last one was turned away."""
        if asked_at >= self._closed_at:
            self._reopens = None

    def _seconds_left(self) -> float:
        """Return how long everybody is to hold back from now on."""
        return max((self._reopens or 0.0) - asyncio.get_running_loop().time(), 0.0)
