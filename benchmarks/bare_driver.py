"""Baseline: psycopg on an open connection in the scope of a workspace."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from benchmarks.recording import Statement
from benchmarks.rounds import Operation

CONNECT_OPTIONS: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}
"""No prepared statements, as in the app, which may connect through a pooler; each statement commits by itself."""


async def enter_workspace(connection: AsyncConnection[Any], workspace_id: UUID) -> None:
    """Set the workspace of a connection until it is closed."""
    await connection.execute("SELECT set_config('app.workspace_id', %s, false)", [str(workspace_id)])


@asynccontextmanager
async def connect_in_workspace(url: str, workspace_id: UUID) -> AsyncIterator[AsyncConnection[Any]]:
    """Open a connection in the scope of a workspace."""
    async with await AsyncConnection.connect(url, **CONNECT_OPTIONS) as connection:
        await enter_workspace(connection, workspace_id)
        yield connection


def make_query(connection: AsyncConnection[Any], statement: Statement) -> Operation:
    """Return an operation that runs a statement and fetches its rows."""

    async def run() -> None:
        cursor = await connection.execute(statement.text, statement.parameters)
        await cursor.fetchall()

    return run
