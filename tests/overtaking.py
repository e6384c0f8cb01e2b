"""Lets a second session overtake a first that has decided already, and tells what the first changes after that."""

import re
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from database.engine import create_pool
from database.roles import APP_ROLE, owner_url, role_url
from database.tenancy import transaction
from tests.api.waiting import until_waiting
from tests.tables import BOOKKEEPING, Changes, changes, read_rows, snapshot
from tests.two_workspaces import TwoWorkspaces, set_columns

T = TypeVar("T")

UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Overtake = Callable[[psycopg.Connection], object]
"""What the second session does in its transaction."""


@dataclass(frozen=True, slots=True)
class Overtaken(Generic[T]):
    """What the first session was answered, and what it changed of that which the second had left."""

    result: T
    changes: Changes

    @property
    def rows(self) -> dict[str, set[UUID | str]]:
        """The keys of the rows that the first session changed, by the names of their tables."""
        return {table: {_key(text) for text in rows} for table, rows in self.changes.items()}


def _key(text: str) -> UUID | str:
    return UUID(text) if UUID_TEXT.fullmatch(text) else text


def rows_in_each(
    add: Callable[..., UUID], column: str, sources: Collection[str], values: Iterable[str]
) -> tuple[dict[UUID, dict[str, Any]], set[UUID]]:
    """Insert a row in one of `sources` for each other value, and a row in each of `sources`.

    Returns to which value each of the first is to be moved, and the ids of those that stay.
    """
    start, *_ = sorted(sources)
    moved = {add(**{column: start}): {column: value} for value in values if value not in sources}
    return moved, {add(**{column: source}) for source in sorted(sources)}


def setting(table: str, rows: dict[UUID, dict[str, Any]]) -> Overtake:
    """Return a change of rows by their ids, each to its own values."""
    return lambda connection: set_columns(connection, table, rows)


async def overtaken(
    workspaces: TwoWorkspaces,
    overtake: Overtake,
    act: Callable[[AsyncSession], Awaitable[T]],
    *,
    decide: Callable[[AsyncSession], Awaitable[object]] | None = None,
    commits_first: bool = False,
    role: str = APP_ROLE,
) -> Overtaken[T]:
    """Begin a transaction and let it decide, let another change rows, and act in the first.

    The other one holds its change open until the act waits for it, and commits then; with `commits_first` it commits
    before the act, for acts that pass over locked rows or look at rows they do not lock. All tables are compared.
    """
    pool = create_pool(role_url(owner_url(workspaces.url), role), size=1)
    try:
        with psycopg.connect(workspaces.url) as other:
            async with transaction(pool, workspaces.scope) as session:
                if decide is not None:
                    await decide(session)
                overtake(other)
                left = read_rows(other)
                if commits_first:
                    other.commit()
                    result = await act(session)
                else:
                    acting = await until_waiting(workspaces.owner, _started(act, session))
                    other.commit()
                    result = await acting
    finally:
        await pool.dispose()
    return Overtaken(result, changes(left, snapshot(workspaces.url), except_tables=BOOKKEEPING))


async def _started(act: Callable[[AsyncSession], Awaitable[T]], session: AsyncSession) -> T:
    return await act(session)
