"""Runs an act beside neighbours and tells what it answered and what it changed in all tables."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from database.base import Base
from tests.database.rows import insert, row_for
from tests.overtaking import Overtaken, overtaken
from tests.two_workspaces import TwoWorkspaces

T = TypeVar("T")


async def compared(workspaces: TwoWorkspaces, act: Callable[[AsyncSession], Awaitable[T]]) -> Overtaken[T]:
    """Run an act of the workspace that acts; all tables are compared before and after it."""
    return await overtaken(workspaces, lambda _other: None, act, commits_first=True)


def put(workspaces: TwoWorkspaces, table: str, **values: Any) -> None:
    """Insert a row of the workspace that acts in a table whose key is no id."""
    described = Base.metadata.tables[table]
    ids = dict(workspaces.ids)
    insert(workspaces.owner, described, row_for(described, ids, uuid4().hex) | values, ids)
