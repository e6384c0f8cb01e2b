"""Lets each workspace or host use only its share of something that a process has a limited number of."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class Shares:
    """The shares in use; an owner that uses none takes no memory."""

    def __init__(self) -> None:
        self._in_use: dict[Hashable, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def hold(self, owner: Hashable, size: int) -> AsyncIterator[None]:
        """Hold one of the `size` parts of the owner's share, and wait until one is free."""
        share, users = self._in_use.get(owner, (asyncio.Semaphore(size), 0))
        self._in_use[owner] = (share, users + 1)
        try:
            async with share:
                yield
        finally:
            share, users = self._in_use.pop(owner)
            if users > 1:
                self._in_use[owner] = (share, users - 1)
