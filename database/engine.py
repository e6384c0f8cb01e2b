"""Connections: a pool per role, and a line of its own for what waits or pings."""

import time
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from database.roles import libpq_url
from database.statements import note

LINE = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds
}
"""A line that is dead without anybody having said so is noticed within a minute."""
TRUSTED_SECONDS = 1.0
"""How long a connection that was just used is taken to be alive without asking."""


def create_pool(url: URL, *, size: int = 10, application_name: str = "salesmatter") -> AsyncEngine:
    """Return an async engine of at most `size` connections.

    Prepared statements stay off: behind a pooler in transaction mode the next statement may meet another server
    connection.
    """
    engine = create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=30,
        connect_args={"prepare_threshold": None, "application_name": application_name, "connect_timeout": 10, **LINE},
    )
    _ping_what_was_idle(engine)
    _note_statements(engine)
    return engine


async def open_line(url: URL, application_name: str) -> psycopg.AsyncConnection:
    """Return one connection outside every pool, in autocommit; raises psycopg.Error."""
    where = make_conninfo(libpq_url(url), application_name=application_name, connect_timeout=10, **LINE)
    return await psycopg.AsyncConnection.connect(where, autocommit=True, prepare_threshold=None)


def _note_statements(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def _note(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        note(statement, connection.info)


def _ping_what_was_idle(engine: AsyncEngine) -> None:
    """Replace connections that died while nobody used them, without a round trip for each that is in steady use."""
    dialect = engine.sync_engine.dialect

    @event.listens_for(engine.sync_engine, "checkin")
    def _note(_connection: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["used_at"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _ping(connection: Any, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        if time.monotonic() - entry.info.get("used_at", time.monotonic()) < TRUSTED_SECONDS:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            if not dialect.is_disconnect(error, connection, None):
                raise
            # The pool then throws away all that it has, and opens anew.
            raise DisconnectionError("the connection died while idle") from error
