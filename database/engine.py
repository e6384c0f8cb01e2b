"""Opens database connections: pools, and single connections that LISTEN or NOTIFY."""

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
from database.statements import record_statement

KEEPALIVE_OPTIONS = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds
}
"""libpq options that detect a broken connection within a minute."""
FRESH_SECONDS = 1.0
"""A connection that was used this recently is not tested before it is used again."""


def create_pool(url: URL, *, size: int = 10, application_name: str = "salesmatter") -> AsyncEngine:
    """Return an async engine of at most `size` connections.

    Prepared statements are off: behind a pooler in transaction mode, the next statement may run on another server
    connection.
    """
    engine = create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=30,
        connect_args={
            "prepare_threshold": None,
            "application_name": application_name,
            "connect_timeout": 10,
            **KEEPALIVE_OPTIONS,
        },
    )
    _check_idle_connections(engine)
    _record_statements(engine)
    return engine


async def open_connection(url: URL, application_name: str) -> psycopg.AsyncConnection:
    """Open one connection outside every pool, in autocommit; raises psycopg.Error."""
    conninfo = make_conninfo(libpq_url(url), application_name=application_name, connect_timeout=10, **KEEPALIVE_OPTIONS)
    return await psycopg.AsyncConnection.connect(conninfo, autocommit=True, prepare_threshold=None)


def _record_statements(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def _record(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        record_statement(statement, connection.info)


def _check_idle_connections(engine: AsyncEngine) -> None:
    """Replace connections that broke while idle, without a round trip for connections in constant use."""
    dialect = engine.sync_engine.dialect

    @event.listens_for(engine.sync_engine, "checkin")
    def _record_use(_connection: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["used_at"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _ping(connection: Any, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        if time.monotonic() - entry.info.get("used_at", time.monotonic()) < FRESH_SECONDS:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            if not dialect.is_disconnect(error, connection, None):
                raise
            # The pool then replaces all of its connections.
            raise DisconnectionError("the connection broke while idle") from error
