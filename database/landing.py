"""Loads many rows with COPY into a temporary table: Postgres allows no COPY FROM with row-level security."""

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

LONG_STATEMENT_TIMEOUT = "15min"
"""The time limit of a statement on a whole file, and of the work of the process between two of them."""
WORK_MEM = "64MB"
"""The memory of one operation of such a statement."""

_ALLOW_LONG = text(
    """
    SELECT set_config('statement_timeout', :timeout, true), set_config('work_mem', :work_mem, true),
           set_config('idle_in_transaction_session_timeout', :timeout, true)
    """
)


async def allow_long_statements(session: AsyncSession) -> None:
    """Raise the statement timeout of this transaction to what a file of a million rows needs."""
    await session.execute(_ALLOW_LONG, {"timeout": LONG_STATEMENT_TIMEOUT, "work_mem": WORK_MEM})


async def create_landing_table(session: AsyncSession, columns: str) -> None:
    """Create the temporary table `landing` with these columns (as in DDL); it exists until the transaction ends."""
    await session.execute(text(f"CREATE TEMPORARY TABLE landing ({columns}) ON COMMIT DROP"))


async def copy_into_landing(session: AsyncSession, blocks: AsyncIterator[bytes]) -> None:
    """Copy CSV blocks into the table `landing` of this transaction."""
    connection = await _get_driver_connection(session)
    async with connection.cursor() as cursor, cursor.copy("COPY landing FROM STDIN (FORMAT csv)") as copy:
        async for block in blocks:
            await copy.write(block)


async def load_landing_table(session: AsyncSession, columns: str, blocks: AsyncIterator[bytes]) -> None:
    """Create the table `landing` and copy CSV blocks into it."""
    await create_landing_table(session, columns)
    await copy_into_landing(session, blocks)


async def copy_select(session: AsyncSession, statement: str, parameters: dict[str, Any]) -> AsyncIterator[bytes]:
    """Yield the rows of a SELECT as CSV, in chunks; placeholders of `parameters` are %(name)s."""
    copy_statement = f"COPY ({statement}) TO STDOUT (FORMAT csv)"
    connection = await _get_driver_connection(session)
    async with connection.cursor() as cursor, cursor.copy(copy_statement, parameters) as copy:
        async for chunk in copy:
            yield bytes(chunk)


async def _get_driver_connection(session: AsyncSession) -> Any:
    return (await (await session.connection()).get_raw_connection()).driver_connection
