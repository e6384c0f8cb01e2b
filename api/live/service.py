"""The follower of the change log: one per process, it wakes those whom a commit may concern."""

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
from api.live.listening import listen
from database.engine import create_pool
from database.roles import ENGINE_ROLE, role_url

log = logging.getLogger(__name__)

IDLE_SECONDS = 30.0
"""How often the log is read while nobody subscribes, so that the next subscription need not read it all."""
PRUNE_EVERY_SECONDS = 60.0
KEPT_SECONDS = 3600.0
AFTER_ERROR_SECONDS = 1.0


class Subscription:
    """What one query stands on: `woken` is set when it may have a new result, or when it has ended.

    Until `narrow` says what it reads, and for whom, every change wakes it.
    """

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.has_ended = False
        self.scopes: frozenset[UUID] | None = None
        self.tables: frozenset[str] = frozenset()

    def end(self) -> None:
        """Have all that read the query end."""
        self.has_ended = True
        self.woken.set()


class Follower:
    """Reads what was committed since the last look, and wakes those whom it may concern."""

    def __init__(
        self, pool: AsyncEngine, snapshot: str, behind: Mapping[str, frozenset[str]], poll_seconds: float
    ) -> None:
        self._pool, self._snapshot, self._behind, self._poll_seconds = pool, snapshot, behind, poll_seconds
        self._everything: set[Subscription] = set()
        self._by_scope: dict[UUID, set[Subscription]] = {}
        self._arrived, self._called = asyncio.Event(), asyncio.Event()
        self._has_ended = self._is_doubtful = False
        self._pruned_at = -PRUNE_EVERY_SECONDS

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """Be woken by what is committed from here on.

        A query that is run after this sees what the follower saw before, so nothing falls between the two.
        """
        subscription = Subscription()
        if self._has_ended:
            subscription.end()
        self._everything.add(subscription)
        self._arrived.set()
        try:
            yield subscription
        finally:
            self._everything.discard(subscription)
            self._leave(subscription, subscription.scopes or ())

    def narrow(self, subscription: Subscription, scopes: Iterable[UUID], names: Iterable[str]) -> None:
        """Let a subscription be woken by changes to what it reads, in its scopes, alone.

        `names` are of tables, and of functions and views, which stand for what they read. What it reads besides for the
        first time may have changed since it was read: it is woken then.
        """
        tables, wanted = self._tables(names), frozenset(scopes)
        grown = not (tables <= subscription.tables and wanted <= (subscription.scopes or frozenset()))
        if subscription.scopes is not None and grown:
            subscription.woken.set()
        subscription.tables |= tables
        if subscription.scopes == wanted:
            return
        self._leave(subscription, subscription.scopes or ())
        subscription.scopes = wanted
        for scope in wanted:
            self._by_scope.setdefault(scope, set()).add(subscription)
        self._everything.discard(subscription)

    def call(self) -> None:
        """Have the log looked at now: something was committed somewhere."""
        self._called.set()

    def doubt(self) -> None:
        """Have everything looked at again: pings may have been missed, and the log may not be the one it was."""
        self._is_doubtful = True
        self._arrived.set()
        self._called.set()

    def end(self) -> None:
        """End every stream, those to come included: the process is about to stop."""
        self._has_ended = True
        for subscription in self._all():
            subscription.end()

    async def run(self) -> None:
        """Follow until cancelled; a database that is away is waited for, and everything is looked at again after."""
        while True:
            try:
                if self._is_doubtful:
                    await self._begin_anew()
                else:
                    await self._look()
                await self._prune()
                await self._pause()
            except Exception as error:  # noqa: BLE001 - whatever it was, nobody must wait for news in vain
                log.warning("The change log cannot be read, trying again: %r", error)
                self._is_doubtful = True
                await asyncio.sleep(AFTER_ERROR_SECONDS)

    async def _look(self) -> None:
        async with AsyncSession(self._pool) as session, session.begin():
            found = await repository.read_changes(session, self._snapshot)
        self._snapshot = found.snapshot
        if found.changes:
            _wake(self._everything)
        for scope, table in found.changes:
            _wake(one for one in self._by_scope.get(scope, ()) if table in one.tables)

    async def _begin_anew(self) -> None:
        """Look at everything again: what the log said meanwhile nobody knows.

        The snapshot of before means nothing after a crash, which hands out again the ids of transactions that were
        rolled back, nor on a replica that took over.
        """
        self._is_doubtful = False
        async with AsyncSession(self._pool) as session, session.begin():
            self._snapshot = await repository.current_snapshot(session)
        _wake(self._all())

    async def _prune(self) -> None:
        if time.monotonic() - self._pruned_at < PRUNE_EVERY_SECONDS:
            return
        self._pruned_at = time.monotonic()
        async with AsyncSession(self._pool) as session, session.begin():
            await repository.prune_changes(session, KEPT_SECONDS)

    async def _pause(self) -> None:
        is_idle = not self._everything and not self._by_scope
        waited_for = self._arrived if is_idle else self._called
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_SECONDS if is_idle else self._poll_seconds):
                await waited_for.wait()
        self._arrived.clear()
        self._called.clear()

    def _tables(self, names: Iterable[str]) -> frozenset[str]:
        """Return names with those that stand behind them."""
        known: set[str] = set()
        asked = set(names)
        while asked:
            known |= asked
            asked = {behind for name in asked for behind in self._behind.get(name, ())} - known
        return frozenset(known)

    def _leave(self, subscription: Subscription, scopes: Iterable[UUID]) -> None:
        for scope in scopes:
            others = self._by_scope[scope]
            others.discard(subscription)
            if not others:
                del self._by_scope[scope]

    def _all(self) -> set[Subscription]:
        return self._everything.union(*self._by_scope.values())


def _wake(subscriptions: Iterable[Subscription]) -> None:
    for subscription in subscriptions:
        subscription.woken.set()


@asynccontextmanager
async def follow_changes(owner: URL, poll_seconds: float, *, direct: URL | None = None) -> AsyncIterator[Follower]:
    """Follow the change log, across workspaces, as long as the block runs; `direct` is past a pooler."""
    pool = create_pool(role_url(owner, ENGINE_ROLE), size=1, application_name="salesmatter-live")
    # Every look is one statement, and so one round trip.
    pool = pool.execution_options(isolation_level="AUTOCOMMIT")
    try:
        async with AsyncSession(pool) as session, session.begin():
            snapshot = await repository.current_snapshot(session)
            behind = await repository.find_read_tables(session)
        follower = Follower(pool, snapshot, behind, poll_seconds)
        async with listen(role_url(direct or owner, ENGINE_ROLE), heard=follower.call, regained=follower.doubt):
            running = asyncio.create_task(follower.run())
            try:
                yield follower
            finally:
                follower.end()
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
    finally:
        await pool.dispose()
