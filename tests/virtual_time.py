"""An event loop whose time passes at once: a wait costs nothing, and when something happens is an exact number."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at second 0. When nothing can run before the next timer, its time jumps to that timer."""

    def __init__(self) -> None:
        self.seconds = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """The virtual seconds since the loop was made."""
        return self.seconds


class _Jumping(selectors.DefaultSelector):
    """Answers a wait at once, and moves the loop's time by as much; waits for other threads in real time."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; nothing ready means that `timeout` seconds have passed."""
        ready = super().select(None if timeout is None else 0)
        if not ready and timeout:
            self._loop.seconds += timeout
        return ready


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a loop of virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def seconds_now() -> float:
    """The virtual second it is, to the millisecond."""
    return round(asyncio.get_running_loop().time(), 3)
