"""The follower of the change log: one per process, it wakes the subscriptions that a commit may concern."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.live import repository
from api.live.listener import listen
from database.engine import create_pool
from database.roles import ENGINE_ROLE, role_url

log = logging.getLogger(__name__)

IDLE_SECONDS = 30.0
"""How often the log is read without subscribers, so that the next subscription does not have to read it all."""
PRUNE_EVERY_SECONDS = 60.0
RETENTION_SECONDS = 3600.0
AFTER_ERROR_SECONDS = 1.0


class Subscription:
    """The subscription of one query: `woken` is set when its result may have changed, or when it has ended.

    Every change wakes it until `narrow` sets the scopes and tables that it reads.
    """

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.has_ended = False
        self.scopes: frozenset[UUID] | None = None
        self.tables: frozenset[str] = frozenset()

    def end(self) -> None:
        """End the query and its readers."""
        self.has_ended = True
        self.woken.set()


class Follower:
    """Reads the commits since the last read, and wakes the subscriptions that they may concern."""

    def __init__(
        self, pool: AsyncEngine, snapshot: str, read_tables: Mapping[str, frozenset[str]], poll_seconds: float
    ) -> None:
        self._pool, self._snapshot, self._read_tables, self._poll_seconds = pool, snapshot, read_tables, poll_seconds
        self._unscoped: set[Subscription] = set()
        self._by_scope: dict[UUID, set[Subscription]] = {}
        self._subscribed, self._notified = asyncio.Event(), asyncio.Event()
        self._has_ended = self._must_reset = False
        self._pruned_at = -PRUNE_EVERY_SECONDS

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """Be woken by each commit from now on.

        A query that runs after this call sees everything the follower has read, so no commit is missed in between.
        """
        subscription = Subscription()
        if self._has_ended:
            subscription.end()
        self._unscoped.add(subscription)
        self._subscribed.set()
        try:
            yield subscription
        finally:
            self._unscoped.discard(subscription)
            self._remove(subscription, subscription.scopes or ())

    def narrow(self, subscription: Subscription, scopes: Iterable[UUID], names: Iterable[str]) -> None:
        """Wake the subscription only for changes of these relations in these scopes.

        `names` are tables, and functions and views, which stand for the tables that they read. When a table or scope
        is new it may have changed since the query read it, so the subscription is woken once.
        """
        tables, new_scopes = self._tables(names), frozenset(scopes)
        has_grown = not (tables <= subscription.tables and new_scopes <= (subscription.scopes or frozenset()))
        if subscription.scopes is not None and has_grown:
            subscription.woken.set()
        subscription.tables |= tables
        if subscription.scopes == new_scopes:
            return
        self._remove(subscription, subscription.scopes or ())
        subscription.scopes = new_scopes
        for scope in new_scopes:
            self._by_scope.setdefault(scope, set()).add(subscription)
        self._unscoped.discard(subscription)

    def notify(self) -> None:
        """Read the log now: there was a commit."""
        self._notified.set()

    def reset(self) -> None:
        """Wake every subscription: notifications may be lost, and the log may be that of another server."""
        self._must_reset = True
        self._subscribed.set()
        self._notified.set()

    def end(self) -> None:
        """End every stream, now and later: the process is about to stop."""
        self._has_ended = True
        for subscription in self._subscriptions():
            subscription.end()

    async def run(self) -> None:
        """Follow the log until cancelled. After a database error, try again and wake every subscription."""
        while True:
            try:
                if self._must_reset:
                    await self._reset_snapshot()
                else:
                    await self._read_log()
                await self._prune()
                await self._pause()
            except Exception as error:  # noqa: BLE001 - the follower must survive any error, or streams get no results
                log.warning("The change log cannot be read, trying again: %r", error)
                self._must_reset = True
                await asyncio.sleep(AFTER_ERROR_SECONDS)

    async def _read_log(self) -> None:
        async with AsyncSession(self._pool) as session, session.begin():
            latest = await repository.read_changes(session, self._snapshot)
        self._snapshot = latest.snapshot
        if latest.changes:
            _wake(self._unscoped)
        for scope, table in latest.changes:
            _wake(subscription for subscription in self._by_scope.get(scope, ()) if table in subscription.tables)

    async def _reset_snapshot(self) -> None:
        """Take a new snapshot and wake every subscription, because the log since the old snapshot may be incomplete.

        A server that has crashed reuses the ids of transactions that were rolled back, and a replica that was promoted
        has other ids. The old snapshot means nothing to either.
        """
        self._must_reset = False
        async with AsyncSession(self._pool) as session, session.begin():
            self._snapshot = await repository.current_snapshot(session)
        _wake(self._subscriptions())

    async def _prune(self) -> None:
        if time.monotonic() - self._pruned_at < PRUNE_EVERY_SECONDS:
            return
        self._pruned_at = time.monotonic()
        async with AsyncSession(self._pool) as session, session.begin():
            await repository.prune_changes(session, RETENTION_SECONDS)

    async def _pause(self) -> None:
        is_idle = not self._unscoped and not self._by_scope
        event = self._subscribed if is_idle else self._notified
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_SECONDS if is_idle else self._poll_seconds):
                await event.wait()
        self._subscribed.clear()
        self._notified.clear()

    def _tables(self, names: Iterable[str]) -> frozenset[str]:
        """Return the names, and the names of all relations that these functions and views read."""
        resolved: set[str] = set()
        pending = set(names)
        while pending:
            resolved |= pending
            pending = {table for name in pending for table in self._read_tables.get(name, ())} - resolved
        return frozenset(resolved)

    def _remove(self, subscription: Subscription, scopes: Iterable[UUID]) -> None:
        for scope in scopes:
            subscriptions = self._by_scope[scope]
            subscriptions.discard(subscription)
            if not subscriptions:
                del self._by_scope[scope]

    def _subscriptions(self) -> set[Subscription]:
        return self._unscoped.union(*self._by_scope.values())


def _wake(subscriptions: Iterable[Subscription]) -> None:
    for subscription in subscriptions:
        subscription.woken.set()


@asynccontextmanager
async def follow_changes(owner: URL, poll_seconds: float, *, direct: URL | None = None) -> AsyncIterator[Follower]:
    """Follow the change log of all workspaces while the block runs; `direct` reaches the database without a pooler."""
    pool = create_pool(role_url(owner, ENGINE_ROLE), size=1, application_name="salesmatter-live")
    # Each read is one statement: autocommit saves the round trips of BEGIN and COMMIT.
    pool = pool.execution_options(isolation_level="AUTOCOMMIT")
    try:
        async with AsyncSession(pool) as session, session.begin():
            snapshot = await repository.current_snapshot(session)
            read_tables = await repository.find_read_tables(session)
        follower = Follower(pool, snapshot, read_tables, poll_seconds)
        async with listen(
            role_url(direct or owner, ENGINE_ROLE), on_notify=follower.notify, on_reconnect=follower.reset
        ):
            running = asyncio.create_task(follower.run())
            try:
                yield follower
            finally:
                follower.end()
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
    finally:
        await pool.dispose()
