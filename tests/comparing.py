"""Runs an act beside neighbours and tells what it answered and what it changed in all tables."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from tests.overtaking import Overtaken, overtaken
from tests.two_workspaces import TwoWorkspaces

T = TypeVar("T")


async def compared(workspaces: TwoWorkspaces, act: Callable[[AsyncSession], Awaitable[T]]) -> Overtaken[T]:
    """Run an act of the workspace that acts; all tables are compared before and after it."""
    return await overtaken(workspaces, lambda _other: None, act, commits_first=True)
