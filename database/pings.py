"""Tells other processes that something was committed here, so that they look at the change log at once.

Never within a transaction of the business: Postgres lets only one transaction at a time commit that notifies.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from database.statements import WROTE

log = logging.getLogger(__name__)

CHANNEL = "salesmatter_changes"
SECONDS_BETWEEN = 0.02
"""The most often that one process pings."""

LISTEN = f"LISTEN {CHANNEL}"
_NOTIFY = text(f"NOTIFY {CHANNEL}")


class Pings:
    """Pings on a connection of its own, at once after the first commit and then at most every 20 ms."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._due = asyncio.Event()

    def watch(self, pool: AsyncEngine) -> None:
        """Ping after each transaction of a pool that may have written."""

        @event.listens_for(pool.sync_engine, "checkin")
        def _ended(_connection: Any, entry: ConnectionPoolEntry) -> None:
            if entry.info.pop(WROTE, False):
                self._due.set()

    async def run(self) -> None:
        """Ping until cancelled; a ping that cannot be sent is left out, because others look by themselves too."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                async with self._engine.connect() as connection:
                    await connection.execute(_NOTIFY)
            except (SQLAlchemyError, OSError) as error:
                log.debug("A ping was not sent: %s", error)
            await asyncio.sleep(SECONDS_BETWEEN)


@asynccontextmanager
async def pinging(engine: AsyncEngine) -> AsyncIterator[Pings]:
    """Ping through `engine`, as long as the block runs, after what the pools commit that are watched."""
    pings = Pings(engine)
    running = asyncio.create_task(pings.run())
    try:
        yield pings
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
