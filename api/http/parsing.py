"""Threads that parse files and messages of tenants, shared fairly between workspaces."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, Protocol, TypeVar
from uuid import UUID

from api.http.shares import Shares

P = ParamSpec("P")
T = TypeVar("T")


class RunParser(Protocol):
    """Runs a parser in a thread, like `asyncio.to_thread`."""

    def __call__(self, parse: Callable[P, T], /, *arguments: P.args, **options: P.kwargs) -> Coroutine[Any, Any, T]:
        """Return what `parse` returns."""


class ParserThreads:
    """Runs parsers in threads of their own; one workspace uses at most half of them at a time.

    The default threads of asyncio are for short work. A slow file there would delay the webhooks of other workspaces.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._per_workspace = max(1, threads // 2)
        self._shares = Shares()

    def of(self, workspace_id: UUID) -> RunParser:
        """Return what runs the parsers of a workspace; each waits until the workspace has a free thread."""

        async def run(parse: Callable[P, T], /, *arguments: P.args, **options: P.kwargs) -> T:
            async with self._shares.hold(workspace_id, self._per_workspace):
                loop = asyncio.get_running_loop()
                running = loop.run_in_executor(self._threads, lambda: parse(*arguments, **options))
                try:
                    return await asyncio.shield(running)
                finally:
                    # A cancelled caller keeps its place until the thread is free again.
                    await asyncio.wait({running})

        return run

    def close(self) -> None:
        """End the threads; work that has not begun is cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)
