"""Two transactions that meet at one lock: one stays open, and the other waits for it or does not.

It is a pytest plugin: `tests/conftest.py` lists it in `pytest_plugins`.
"""

import asyncio
import concurrent.futures
import contextlib
import fcntl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from database.base import Base
from database.engine import create_pool
from database.roles import APP_ROLE, ENGINE_ROLE, owner_url, role_url
from database.tenancy import Scope, transaction
from tests.database.rows import Ids, fill_every_table, insert, row_for

T = TypeVar("T")
Call = Callable[[AsyncSession], Awaitable[T]]
RowCall = Callable[[AsyncSession, "Blocking", Sequence[UUID]], Awaitable[Any]]
"""A call that locks rows of a workspace by their ids."""

MODES = ("KEY SHARE", "SHARE", "NO KEY UPDATE", "UPDATE")
"""The modes of row locks, the weakest first."""
WEAKEST_CONFLICT = {"KEY SHARE": "UPDATE", "SHARE": "NO KEY UPDATE", "NO KEY UPDATE": "SHARE", "UPDATE": "KEY SHARE"}
"""The weakest mode that a lock of each mode waits for."""
STRONGEST_COMPANION = {"KEY SHARE": "NO KEY UPDATE", "SHARE": "SHARE", "NO KEY UPDATE": "KEY SHARE"}
"""The strongest mode that a lock of each mode does not wait for; FOR UPDATE waits for all."""

POLL_SECONDS = 0.01
MOST_POLLS = 2000

# Tables are read as they lie: a statement that does not sort would otherwise find rows in the order of an index.
_SETTINGS = ("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan", "enable_mergejoin")
_IGNORE_INDEXES = text("SELECT " + ", ".join(f"set_config('{setting}', 'off', true)" for setting in _SETTINGS))
_BACKEND = text("SELECT pg_backend_pid()")
_HASHES = text("SELECT set_config('enable_nestloop', 'off', true)")
_BLOCKERS = "SELECT pg_blocking_pids(%s)"


class _Undo(Exception):
    """Rolls a transaction back."""


@dataclass(frozen=True, slots=True)
class Side:
    """A transaction that stays open: its backend, and what its call returned."""

    pid: int
    result: Any


@dataclass(slots=True)
class Blocking:
    """A workspace with one row of every table, and sessions of which one can be held open while another runs."""

    database_url: str
    pool: AsyncEngine
    engine_pool: AsyncEngine
    owner: psycopg.Connection
    """Commits by itself."""
    ids: Ids
    """The ids of the workspace's rows, by table."""
    backends: dict["asyncio.Task[Any]", int] = field(default_factory=dict)
    """Of the calls that were started."""

    @property
    def workspace_id(self) -> UUID:
        """The workspace's id."""
        return self.ids["app.workspaces"]

    @property
    def scope(self) -> Scope:
        """What the app's sessions may see."""
        return Scope(account_id=self.ids["app.accounts"], workspace_id=self.workspace_id)

    def add(self, table: str, **values: Any) -> UUID:
        """Insert one more row beside that of the fixture and return its id; `values` replace invented ones."""
        model, ids = Base.metadata.tables[table], dict(self.ids)
        insert(self.owner, model, row_for(model, ids, "another") | values, ids)
        return ids[table]

    def add_lower(self, table: str, **values: Any) -> list[UUID]:
        """Insert a row with the id before that of the fixture; returns both, the lower first.

        The lower one lies behind in the table: a statement that does not sort comes to the higher one first.
        """
        high = self.ids[table]
        return [self.add(table, id=UUID(int=high.int - 1), **values), high]

    def add_lower_mail(self) -> dict[str, list[UUID]]:
        """Insert a lead, a sequence with its step, an enrollment and a draft, each with the id before the fixture's.

        Returns both ids by table, the lower first.
        """
        pairs = {"app.leads": self.add_lower("app.leads", email="another@lead.example")}
        pairs["app.sequences"] = self.add_lower("app.sequences")
        lead_id, sequence_id = pairs["app.leads"][0], pairs["app.sequences"][0]
        step_id = self.add("app.sequence_steps", sequence_id=sequence_id)
        pairs["app.lead_enrollments"] = self.add_lower("app.lead_enrollments", lead_id=lead_id, sequence_id=sequence_id)
        pairs["app.email_drafts"] = self.add_lower(
            "app.email_drafts",
            lead_id=lead_id,
            sequence_id=sequence_id,
            step_id=step_id,
            enrollment_id=pairs["app.lead_enrollments"][0],
        )
        return pairs

    def put_higher_first(self, table: str, ids: Sequence[UUID], key: str = "id") -> None:
        """Write rows anew, the last of `ids` first, so that a statement that does not sort comes to that one first."""
        for id_ in reversed(ids):
            rewrite = sql.SQL("UPDATE {} SET {} = {} WHERE {} = %s").format(_name(table), *[sql.Identifier(key)] * 3)
            self.owner.execute(rewrite, [id_])

    def run(self, statement: str, *parameters: Any) -> list[Any]:
        """Run a statement as the owner, committed at once; returns its rows."""
        cursor = self.owner.execute(statement.encode(), parameters)
        return cursor.fetchall() if cursor.description else []

    @contextlib.asynccontextmanager
    async def session(self, *, is_engine: bool = False) -> AsyncIterator[tuple[AsyncSession, int]]:
        """Open a transaction of the app, or of the engine; yields it and the number of its backend."""
        pool, scope = (self.engine_pool, Scope()) if is_engine else (self.pool, self.scope)
        async with transaction(pool, scope) as session:
            await ignore_indexes(session)
            yield session, (await session.scalars(_BACKEND)).one()

    @contextlib.asynccontextmanager
    async def kept_open(self, call: Call[Any], *, is_engine: bool = False) -> AsyncIterator[Side]:
        """Run a call and keep its transaction open until the end of the block, which commits it."""
        async with self.session(is_engine=is_engine) as (session, pid):
            yield Side(pid, await call(session))

    @contextlib.asynccontextmanager
    async def row_locks(self, mode: str, table: str, ids: Sequence[UUID], key: str = "id") -> AsyncIterator[int]:
        """Lock rows as the owner until the end of the block; yields the backend's number."""
        lock = sql.SQL("SELECT FROM {} WHERE {} = ANY(%s) FOR {}").format(
            _name(table), sql.Identifier(key), _mode(mode)
        )
        async with await psycopg.AsyncConnection.connect(self.database_url) as other:
            await other.execute(lock, [list(ids)])
            yield other.info.backend_pid

    async def run_alone(self, call: Call[T], *, is_engine: bool = False) -> T:
        """Run a call in a transaction of its own and commit it; fails if it has to wait for a lock."""
        task, pid = await self._start(call, is_engine=is_engine)
        for _ in range(MOST_POLLS):
            if task.done():
                return task.result()
            blockers = self._blockers(pid)
            if blockers:
                await self.end(task)
                pytest.fail(f"the call waits for {blockers}, and should not wait")
            await asyncio.wait({task}, timeout=POLL_SECONDS)
        await self.end(task)
        return pytest.fail("the call did not end")

    async def start_waiting(self, call: Call[T], blocker: int | None, *, is_engine: bool = False) -> "asyncio.Task[T]":
        """Start a call in a transaction of its own and return it once it waits; fails if it need not.

        It waits for the backend `blocker`, or for any where that is None.
        """
        task, pid = await self._start(call, is_engine=is_engine)
        for _ in range(MOST_POLLS):
            blockers = self._blockers(pid)
            if blockers and blocker in {None, *blockers}:
                return task
            if task.done():
                pytest.fail(f"the call did not wait: {task.exception() or task.result()!r}")
            await asyncio.wait({task}, timeout=POLL_SECONDS)
        await self.end(task)
        return pytest.fail("the call neither waited nor ended")

    def modes(self, table: str, ids: Sequence[UUID], key: str = "id") -> list[str | None]:
        """Return in which mode each of these rows is locked, None where it is free."""
        locked: dict[UUID, str | None] = dict.fromkeys(ids)
        for mode in MODES:
            # The weakest lock that is refused tells the mode that is there.
            probe = sql.SQL("SELECT {0} FROM {1} WHERE {0} = ANY(%s) FOR {2} SKIP LOCKED").format(
                sql.Identifier(key), _name(table), _mode(mode)
            )
            free = {row[0] for row in self.owner.execute(probe, [list(ids)])}
            for id_ in locked.keys() - free:
                locked[id_] = locked[id_] or WEAKEST_CONFLICT[mode]
        return [locked[id_] for id_ in ids]

    async def prove_row_lock(
        self, mode: str, table: str, ids: Sequence[UUID], call: Call[Any], *, key: str = "id", is_engine: bool = False
    ) -> None:
        """Prove that a call locks rows in this mode, and in the order of `ids`.

        It waits for the weakest lock that conflicts with the mode, and has by then locked no row behind the one it
        waits for; it does not wait for the strongest lock that does not conflict. Two calls that lock to change do not
        end in a deadlock, as they would if each locked in share mode first. Nothing of it is committed.
        """
        self.put_higher_first(table, ids, key)
        if companion := STRONGEST_COMPANION.get(mode):
            async with self.row_locks(companion, table, ids, key):
                await self.run_and_undo(call, is_engine=is_engine)
        # A join by loops locks and changes row by row, a join by hashes may change rows in another order.
        for undone in [_undone(call), _undone(call, _HASHES)][: len(ids)]:
            await self._prove_row_lock(mode, table, ids, undone, key=key, is_engine=is_engine)

    async def _prove_row_lock(
        self, mode: str, table: str, ids: Sequence[UUID], call: Call[Any], *, key: str, is_engine: bool
    ) -> None:
        first, *others = ids
        async with self.row_locks(WEAKEST_CONFLICT[mode], table, [first], key) as pid:
            waiting = await self.start_waiting(call, pid, is_engine=is_engine)
            modes = self.modes(table, others, key)
            if modes != [None] * len(others):
                await self.end(waiting)
                pytest.fail(f"rows behind the first are locked already: {modes}")
            calls = [waiting]
            if mode == "NO KEY UPDATE":
                calls.append(await self.start_waiting(call, None, is_engine=is_engine))
        for started in calls:
            with contextlib.suppress(_Undo):
                await started

    async def prove_skipped(
        self, table: str, row_id: UUID, call: Call[T], *, key: str = "id", is_engine: bool = False
    ) -> T:
        """Run a call while another has the weakest lock on a row, for which it must not wait; returns its result."""
        async with self.row_locks("KEY SHARE", table, [row_id], key):
            return await self.run_alone(call, is_engine=is_engine)

    async def prove_exclusive(self, call: Call[Any], others: Sequence[Call[Any]], free: Sequence[Call[Any]]) -> None:
        """Prove that `others` wait while the transaction of a call is open, and that `free` do not."""
        async with self.kept_open(call) as side:
            for other in free:
                await self.run_and_undo(other)
            waiting = [await self.start_waiting(other, side.pid) for other in others]
        for task in waiting:
            await task

    async def run_and_undo(self, call: Call[Any], *, is_engine: bool = False) -> None:
        """Run a call in a transaction of its own and roll it back; fails if it has to wait for a lock."""

        with contextlib.suppress(_Undo):
            await self.run_alone(_undone(call), is_engine=is_engine)

    async def _start(self, call: Call[T], *, is_engine: bool) -> tuple["asyncio.Task[T]", int]:
        began: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def run() -> T:
            async with self.session(is_engine=is_engine) as (session, pid):
                began.set_result(pid)
                return await call(session)

        task = asyncio.create_task(run())
        either: set[asyncio.Future[Any]] = {began, task}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not began.done():
            await task
        self.backends[task] = await began
        return task, self.backends[task]

    async def end(self, task: "asyncio.Task[Any]") -> None:
        """Cancel what a call waits for, so that its transaction rolls back."""
        if not task.done():
            self.run("SELECT pg_cancel_backend(%s)", self.backends[task])
        await asyncio.gather(task, return_exceptions=True)

    def _blockers(self, pid: int) -> list[int]:
        (row,) = self.run(_BLOCKERS, pid)
        return list(row[0])


def _undone(call: Call[Any], *settings: TextClause) -> Call[Any]:
    """Return a call with settings of its transaction, which it rolls back at its end."""

    async def call_and_undo(session: AsyncSession) -> None:
        for setting in settings:
            await session.execute(setting)
        await call(session)
        raise _Undo

    return call_and_undo


async def ignore_indexes(session: AsyncSession) -> None:
    """Let the statements of a transaction read tables as they lie, so that only their own order sorts rows."""
    await session.execute(_IGNORE_INDEXES)


def prove_file_lock(path: Path, call: Callable[[], T]) -> T:
    """Run a call in a thread, and prove that it waits for a file that is locked by another; returns its result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(1) as threads, path.open("ab") as lock:
        # The weakest lock that an exclusive one waits for.
        fcntl.flock(lock, fcntl.LOCK_SH)
        calling = threads.submit(call)
        for _ in range(MOST_POLLS):
            if _is_waited_for(path):
                break
            if calling.done():
                pytest.fail(f"the call did not wait: {calling.exception() or calling.result()!r}")
            concurrent.futures.wait([calling], timeout=POLL_SECONDS)
        else:
            pytest.fail("the call neither waited nor ended")
        fcntl.flock(lock, fcntl.LOCK_UN)
        return calling.result()


def _is_waited_for(path: Path) -> bool:
    """Return whether a process waits for the lock of a file."""
    lines = Path("/proc/locks").read_text(encoding="utf-8").splitlines()
    return any("->" in line and line.split()[6].endswith(f":{path.stat().st_ino}") for line in lines)


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))


def _mode(mode: str) -> sql.SQL:
    return {name: sql.SQL(name) for name in MODES}[mode]


@pytest.fixture
async def blocking(database_url: str) -> AsyncIterator[Blocking]:
    """A workspace with a row of every table, and sessions of the app and of the engine on it."""
    pool = create_pool(role_url(owner_url(database_url), APP_ROLE), size=3)
    engine_pool = create_pool(role_url(owner_url(database_url), ENGINE_ROLE), size=3)
    # The owner's statements block the event loop, and so the sessions that they would wait for.
    with psycopg.connect(database_url, autocommit=True, options="-c lock_timeout=5s") as owner:
        blocking = Blocking(database_url, pool, engine_pool, owner, fill_every_table(owner, "rows"))
        # Two keys of a draft are implied by its enrollment, so that nothing fills them from the models.
        blocking.run(
            "UPDATE app.email_drafts SET lead_id = %s, sequence_id = %s",
            *(blocking.ids[table] for table in ("app.leads", "app.sequences")),
        )
        yield blocking
        for task in blocking.backends:
            await blocking.end(task)
    await pool.dispose()
    await engine_pool.dispose()
