"""Runs one call of ours by itself among rows that it is not for, and tells what it returned and changed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from api.pagination import NEWEST_FIRST, Cursors, PageRequest
from database.engine import create_pool
from database.roles import owner_url
from database.tenancy import transaction
from tests.tables import BOOKKEEPING, Changes, changes, snapshot
from tests.two_workspaces import TwoWorkspaces

T = TypeVar("T")

FIRST_PAGE = PageRequest(limit=50, sort=NEWEST_FIRST, after=None, place="test", cursors=Cursors("a key of the tests"))
"""More than any test inserts, newest first."""


@dataclass(frozen=True, slots=True)
class Acted(Generic[T]):
    """What a call returned, and every row that differs after it."""

    result: T
    changes: Changes

    def after(self) -> dict[str, dict[str, dict[str, object]]]:
        """What rows have in the columns that differ, apart from the time of the change."""
        return {
            table: {
                key: {name: value for name, (_, value) in row.items() if name != "updated_at"}
                for key, row in rows.items()
            }
            for table, rows in self.changes.items()
        }


@asynccontextmanager
async def owner_session(workspaces: TwoWorkspaces) -> AsyncIterator[AsyncSession]:
    """Open a transaction as the owner of the tables, whom no policy binds: a statement alone chooses its rows."""
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
