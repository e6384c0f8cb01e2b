"""Runs one call of ours in a transaction of its own, and tells what it returned, changed and locked."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import NEWEST_FIRST, Cursors, PageRequest
from database.base import Base
from database.engine import create_pool
from database.roles import APP_ROLE, owner_url, role_url
from database.tenancy import transaction
from tests.database.rows import insert, row_for
from tests.tables import BOOKKEEPING, Changes, changes, snapshot
from tests.two_workspaces import TwoWorkspaces

T = TypeVar("T")

FIRST_PAGE = PageRequest(limit=50, sort=NEWEST_FIRST, after=None, place="test", cursors=Cursors("a key of the tests"))
"""More than any test inserts, newest first."""


STAMPS = {"updated_at", "written_by"}
"""The columns that say when and by which transaction a row was written."""


@dataclass(frozen=True, slots=True)
class Acted(Generic[T]):
    """What a call returned, every row that differs after it, and which rows of one table it locked."""

    result: T
    changes: Changes
    locked: set[UUID] = field(default_factory=set)

    @property
    def rows(self) -> dict[str, set[str]]:
        """The keys of the rows that differ, by the names of their tables."""
        return {table: set(rows) for table, rows in self.changes.items()}

    def columns(self, table: str, row_id: UUID) -> dict[str, tuple[Any, Any]]:
        """Return what differs in a row, (before, after), apart from the time of the change."""
        differing = self.changes.get(table, {}).get(str(row_id), {})
        return {name: values for name, values in differing.items() if name not in STAMPS}

    def after(self) -> dict[str, dict[str, dict[str, object]]]:
        """What rows have in the columns that differ, apart from the time of the change."""
        return {
            table: {
                key: {name: value for name, (_, value) in row.items() if name not in STAMPS}
                for key, row in rows.items()
            }
            for table, rows in self.changes.items()
        }


@asynccontextmanager
async def owner_session(workspaces: TwoWorkspaces) -> AsyncIterator[AsyncSession]:
    """Open a transaction as the owner of the tables, without row-level security: the statement selects the rows."""
    pool = create_pool(owner_url(workspaces.url), size=1)
    try:
        async with transaction(pool, workspaces.scope) as session:
            yield session
    finally:
        await pool.dispose()


async def act_alone(workspaces: TwoWorkspaces, act: Callable[[AsyncSession], Awaitable[T]]) -> Acted[T]:
    """Run a call in such a transaction, commit it, and compare all tables."""
    before = snapshot(workspaces.url)
    async with owner_session(workspaces) as session:
        result = await act(session)
    return Acted(result, changes(before, snapshot(workspaces.url), except_tables=BOOKKEEPING))


async def run_act(
    workspaces: TwoWorkspaces, act: Callable[[AsyncSession], Awaitable[T]], *, locks_in: str = "app.leads"
) -> Acted[T]:
    """Run a call as the app, in the workspace's scope, and commit it; before that, see which rows it has locked."""
    probe = sql.SQL("SELECT id FROM {} {}")
    table = sql.Identifier(*locks_in.split("."))
    before = snapshot(workspaces.url)
    pool = create_pool(role_url(owner_url(workspaces.url), APP_ROLE), size=1)
    try:
        async with transaction(pool, workspaces.scope) as session:
            result = await act(session)
            rows, free = (
                {row[0] for row in workspaces.owner.execute(probe.format(table, sql.SQL(lock)))}
                for lock in ("", "FOR NO KEY UPDATE SKIP LOCKED")
            )
    finally:
        await pool.dispose()
    return Acted(result, changes(before, snapshot(workspaces.url), except_tables=BOOKKEEPING), rows - free)


def insert_row(workspaces: TwoWorkspaces, table: str, **values: Any) -> None:
    """Insert a row of a table that has no id; what must be given besides is invented."""
    described, ids = Base.metadata.tables[table], dict(workspaces.ids)
    insert(workspaces.owner, described, row_for(described, ids, uuid4().hex) | values, ids)
