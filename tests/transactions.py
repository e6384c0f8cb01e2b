"""Runs an act in one transaction of the app, and tells what it answered, changed and locked."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncSession

from api.pagination import Cursors, PageRequest
from database.base import Base
from database.engine import create_pool
from database.roles import APP_ROLE, owner_url, role_url
from database.tenancy import transaction
from tests.database.rows import insert, row_for
from tests.tables import BOOKKEEPING, Changes, changes, snapshot
from tests.two_workspaces import TwoWorkspaces

T = TypeVar("T")

FIRST_PAGE = PageRequest(10, "-createdAt", None, "", Cursors("key"))
"""The newest ten."""


@dataclass(frozen=True, slots=True)
class Acted(Generic[T]):
    """What an act answered, what it changed in all tables, and which rows of one table it locked."""

    result: T
    changes: Changes
    locked: set[UUID]

    @property
    def rows(self) -> dict[str, set[str]]:
        """The keys of the rows that were changed, by the names of their tables."""
        return {table: set(rows) for table, rows in self.changes.items()}

    def columns(self, table: str, row_id: UUID) -> dict[str, tuple[Any, Any]]:
        """Return what changed in a row, but for when it was changed."""
        differing = self.changes.get(table, {}).get(str(row_id), {})
        return {name: values for name, values in differing.items() if name != "updated_at"}


async def run_act(
    workspaces: TwoWorkspaces, act: Callable[[AsyncSession], Awaitable[T]], *, locks_in: str = "app.leads"
) -> Acted[T]:
    """Run an act in the workspace's scope and commit it; before that, look which rows of `locks_in` it has locked."""
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
    insert(workspaces.owner, described, row_for(described, ids, "another") | values, ids)
