"""One statement straight to the driver, inside a session's transaction: for what every request pays, or asks most."""

from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

Named = dict[str, Any]
"""A row by the names of its columns."""


async def fetch(session: AsyncSession, statement: str, parameters: Sequence[Any]) -> list[Named]:
    """Return the rows of a statement with `%s` for each parameter; raises the errors SQLAlchemy would raise.

    It takes half the time of a statement that SQLAlchemy builds, caches and reads the rows of.
    """
    connection = await session.connection()
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    try:
        cursor = await driver.execute(statement, parameters)
        rows = await cursor.fetchall()
    except psycopg.Error as error:
        if driver.closed or driver.broken:
            await connection.invalidate(error)
        raise DBAPIError.instance(statement, None, error, psycopg.Error, dialect=connection.dialect) from error
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in rows]
