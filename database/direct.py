"""One statement straight to the driver, inside a session's transaction: for what every request pays, or asks most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import SessionTransaction

from database.statements import note

Named = dict[str, Any]
"""A row by the names of its columns."""


async def fetch(session: AsyncSession, statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[Named]:
    """Return the rows of a statement with `%s` or `%(name)s` for parameters; raises the errors SQLAlchemy would raise.

    It takes half the time of a statement that SQLAlchemy builds, caches and reads the rows of.
    """
    held = await _held(session)
    note(statement, held.memory)
    try:
        cursor = held.driver.cursor(row_factory=dict_row)
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()
    except psycopg.Error as error:
        if held.driver.closed or held.driver.broken:
            await held.connection.invalidate(error)
        dialect = held.connection.dialect
        raise DBAPIError.instance(statement, None, error, psycopg.Error, dialect=dialect) from error


@dataclass(frozen=True, slots=True)
class _Held:
    """The connection that a session holds for the time of a transaction."""

    transaction: SessionTransaction | None
    connection: AsyncConnection
    driver: psycopg.AsyncConnection[Any]
    memory: dict[str, Any]
    """What the pool remembers of the connection."""


async def _held(session: AsyncSession) -> _Held:
    """Return the connection of the session's transaction, asked for once in a transaction."""
    held: _Held | None = session.info.get(_Held)
    if held is not None and held.transaction is session.sync_session.get_transaction():
        return held
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    session.info[_Held] = held = _Held(session.sync_session.get_transaction(), connection, driver, raw.info)
    return held
