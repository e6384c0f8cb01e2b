"""Runs statements on the driver connection of a session's transaction, for the statements that run most often."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import SessionTransaction

from database.statements import record_statement

Record = dict[str, Any]
"""A row as a mapping from column names to values."""


async def fetch(session: AsyncSession, statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[Record]:
    """Return the rows of a statement whose parameters are `%s` or `%(name)s`; raises the errors SQLAlchemy would raise.

    This takes half the time of the same statement through SQLAlchemy.
    """
    current = await _get_driver_connection(session)
    record_statement(statement, current.info)
    try:
        cursor = current.driver.cursor(row_factory=dict_row)
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()
    except psycopg.Error as error:
        if current.driver.closed or current.driver.broken:
            await current.connection.invalidate(error)
        dialect = current.connection.dialect
        raise DBAPIError.instance(statement, None, error, psycopg.Error, dialect=dialect) from error


@dataclass(frozen=True, slots=True)
class _DriverConnection:
    """The connection that a session uses during a transaction."""

    transaction: SessionTransaction | None
    connection: AsyncConnection
    driver: psycopg.AsyncConnection[Any]
    info: dict[str, Any]
    """The pool's info dictionary of the connection."""


async def _get_driver_connection(session: AsyncSession) -> _DriverConnection:
    """Return the connection of the session's transaction, cached for the transaction."""
    cached: _DriverConnection | None = session.info.get(_DriverConnection)
    if cached is not None and cached.transaction is session.sync_session.get_transaction():
        return cached
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    current = _DriverConnection(session.sync_session.get_transaction(), connection, driver, raw.info)
    session.info[_DriverConnection] = current
    return current
