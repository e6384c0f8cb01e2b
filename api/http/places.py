"""Shares a process's places for calls to providers, so that no workspace and no host holds all of them."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from api.http.shares import Shares

MAX_KNOWN_HOSTS = 10_000


class NoPlaceFree(Exception):
    """No place became free in time."""


@dataclass(slots=True)
class Places:
    """A number of places, of which a workspace and a host have a share each.

    A caller that waits for its share holds none of the places that others could have.
    """

    total: int
    per_workspace: int
    per_host: int
    wait_seconds: float
    _all: asyncio.Semaphore = field(init=False)
    _shares: Shares = field(default_factory=Shares)
    _hosts: OrderedDict[UUID, str] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self._all = asyncio.Semaphore(self.total)

    def note_host(self, workspace_id: UUID, host: str) -> None:
        """Remember the host that a workspace calls; its next calls count in the share of this host."""
        self._hosts[workspace_id] = host
        self._hosts.move_to_end(workspace_id)
        if len(self._hosts) > MAX_KNOWN_HOSTS:
            self._hosts.popitem(last=False)

    @asynccontextmanager
    async def hold(self, workspace_id: UUID, host: str | None = None) -> AsyncIterator[None]:
        """Hold a place; raises NoPlaceFree if none becomes free in time. A host that is not given is the noted one."""
        host = host or self._hosts.get(workspace_id)
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self.wait_seconds):
                    await held.enter_async_context(self._shares.hold(workspace_id, self.per_workspace))
                    if host is not None:
                        await held.enter_async_context(self._shares.hold(host, self.per_host))
                    await held.enter_async_context(self._all)
            except TimeoutError as error:
                raise NoPlaceFree("All places for calls of this workspace or of its provider are in use.") from error
            yield


def create_places(total: int, *, workspace_share: float, host_share: float, wait_seconds: float) -> Places:
    """Return places with shares of a workspace and of a host, at least one place each."""
    per_workspace, per_host = (max(int(total * share), 1) for share in (workspace_share, host_share))
    return Places(total, per_workspace, per_host, wait_seconds)
