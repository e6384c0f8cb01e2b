"""The follower of the change log: one per process, it wakes the subscriptions whose workspace was changed."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.live import repository
from database.engine import create_pool
from database.roles import ENGINE_ROLE, role_url

log = logging.getLogger(__name__)

IDLE_SECONDS = 30.0
"""How often the log is read while nobody subscribes, so that the next subscription need not read it all."""
PRUNE_EVERY_SECONDS = 60.0
KEPT_SECONDS = 3600.0
AFTER_ERROR_SECONDS = 1.0
WORKSPACES = "workspaces"


class Subscription:
    """One live query: `woken` is set when it may have a new result, or when it has ended."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.has_ended = False

    def end(self) -> None:
        """Have the subscription's stream end."""
        self.has_ended = True
        self.woken.set()


class Follower:
    """Reads what was committed since the last look, and wakes those whom it may concern."""

    def __init__(self, pool: AsyncEngine, snapshot: str, poll_seconds: float) -> None:
        self._pool, self._snapshot, self._poll_seconds = pool, snapshot, poll_seconds
        self._subscriptions: dict[UUID | None, set[Subscription]] = {}
        self._arrived = asyncio.Event()
        self._has_ended = False
        self._pruned_at = -PRUNE_EVERY_SECONDS

    @contextmanager
    def subscribe(self, workspace_id: UUID | None) -> Iterator[Subscription]:
        """Be woken by what is committed in a workspace from here on; None: by changes to any workspace itself.

        A query that is run after this sees what the follower saw before, so nothing falls between the two.
        """
        subscription = Subscription()
        if self._has_ended:
            subscription.end()
        self._subscriptions.setdefault(workspace_id, set()).add(subscription)
        self._arrived.set()
        try:
            yield subscription
        finally:
            others = self._subscriptions[workspace_id]
            others.discard(subscription)
            if not others:
                del self._subscriptions[workspace_id]

    def end(self) -> None:
        """End every stream, those to come included: the process is about to stop."""
        self._has_ended = True
        for subscription in self._all():
            subscription.end()

    async def run(self) -> None:
        """Follow until cancelled; a database that is away is waited for, and everything is looked at again after."""
        while True:
            try:
                await self._look()
                await self._prune()
                await self._pause()
            except (SQLAlchemyError, OSError) as error:
                log.warning("The change log cannot be read, trying again: %s", error)
                await asyncio.sleep(AFTER_ERROR_SECONDS)
                self._wake(self._all())

    async def _look(self) -> None:
        async with AsyncSession(self._pool) as session, session.begin():
            found = await repository.look(session, self._snapshot)
        self._snapshot = found.snapshot
        for workspace_id, table in found.changes:
            self._wake(self._subscriptions.get(workspace_id, ()))
            if table == WORKSPACES:
                self._wake(self._subscriptions.get(None, ()))

    async def _prune(self) -> None:
        if time.monotonic() - self._pruned_at < PRUNE_EVERY_SECONDS:
            return
        self._pruned_at = time.monotonic()
        async with AsyncSession(self._pool) as session, session.begin():
            await repository.prune(session, KEPT_SECONDS)

    async def _pause(self) -> None:
        if self._subscriptions:
            await asyncio.sleep(self._poll_seconds)
            return
        self._arrived.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_SECONDS):
                await self._arrived.wait()

    def _all(self) -> set[Subscription]:
        return {one for group in self._subscriptions.values() for one in group}

    def _wake(self, subscriptions: "set[Subscription] | tuple[()]") -> None:
        for subscription in subscriptions:
            subscription.woken.set()


@asynccontextmanager
async def following(owner: URL, poll_seconds: float) -> AsyncIterator[Follower]:
    """Follow the change log, across workspaces, as long as the block runs."""
    pool = create_pool(role_url(owner, ENGINE_ROLE), size=1, application_name="salesmatter-live")
    try:
        async with AsyncSession(pool) as session, session.begin():
            snapshot = await repository.current_snapshot(session)
        follower = Follower(pool, snapshot, poll_seconds)
        running = asyncio.create_task(follower.run())
        try:
            yield follower
        finally:
            follower.end()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    finally:
        await pool.dispose()
