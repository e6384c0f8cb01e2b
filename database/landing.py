"""Many rows at once: copied in beside the tables, because Postgres takes no COPY into one under row-level security."""

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

LONG_STATEMENT = "15min"
"""How long one statement over a whole file may take."""
WORK_MEM = "64MB"
"""What one step of such a statement may hold in memory."""

_ALLOW_LONG = text(
    """
    SELECT set_config('statement_timeout', :timeout, true), set_config('work_mem', :work_mem, true)
    """
)


async def allow_long_statements(session: AsyncSession) -> None:
    """Let the statements of this transaction take as long as a file of a million rows needs."""
    await session.execute(_ALLOW_LONG, {"timeout": LONG_STATEMENT, "work_mem": WORK_MEM})


async def open_landing(session: AsyncSession, columns: str) -> None:
    """Make the temporary table `landing` of these columns (as in DDL), gone with the transaction; at most one."""
    await session.execute(text(f"CREATE TEMPORARY TABLE landing ({columns}) ON COMMIT DROP"))


async def copy_in(session: AsyncSession, blocks: AsyncIterator[bytes]) -> None:
    """Bring CSV blocks into the table `landing` that this transaction has opened."""
    async with (await _driver(session)).cursor() as cursor, cursor.copy("COPY landing FROM STDIN (FORMAT csv)") as copy:
        async for block in blocks:
            await copy.write(block)


async def land(session: AsyncSession, columns: str, blocks: AsyncIterator[bytes]) -> None:
    """Open the table `landing` and bring CSV blocks into it."""
    await open_landing(session, columns)
    await copy_in(session, blocks)


async def copy_out(session: AsyncSession, statement: str, parameters: dict[str, Any]) -> AsyncIterator[bytes]:
    """Yield what a SELECT finds as CSV, a piece at a time; `parameters` are written %(name)s."""
    copied = f"COPY ({statement}) TO STDOUT (FORMAT csv)"
    async with (await _driver(session)).cursor() as cursor, cursor.copy(copied, parameters) as copy:
        async for piece in copy:
            yield bytes(piece)


async def _driver(session: AsyncSession) -> Any:
    return (await (await session.connection()).get_raw_connection()).driver_connection
