"""A baseline: the driver by itself, on a connection that is held in the scope of one workspace."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from benchmarks.recording import Statement
from benchmarks.rounds import Act

CONNECTING: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}
"""Nothing is prepared, as in the app, because a pooler may stand between; no transaction is put around a statement."""


async def enter_for_good(connection: AsyncConnection[Any], workspace_id: UUID) -> None:
    """Let a connection see a workspace's rows until it is closed."""
    await connection.execute("SELECT set_config('app.workspace_id', %s, false)", [str(workspace_id)])


@asynccontextmanager
async def bare_connection(url: str, workspace_id: UUID) -> AsyncIterator[AsyncConnection[Any]]:
    """Open a connection that has entered a workspace."""
    async with await AsyncConnection.connect(url, **CONNECTING) as connection:
        await enter_for_good(connection, workspace_id)
        yield connection


def running(connection: AsyncConnection[Any], statement: Statement) -> Act:
    """Return the act of running a statement and fetching its rows."""

    async def run() -> None:
        cursor = await connection.execute(statement.text, statement.parameters)
        await cursor.fetchall()

    return run
