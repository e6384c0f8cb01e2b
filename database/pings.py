"""Tells other processes that something was committed here, so that they look at the change log at once.

Never within a transaction of the business: Postgres lets only one transaction at a time commit that notifies.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from database.engine import open_line
from database.statements import WROTE

log = logging.getLogger(__name__)

CHANNEL = "salesmatter_changes"
SECONDS_BETWEEN = 0.02
"""The most often that one process pings."""
AGAIN_SECONDS = 1.0

LISTEN = f"LISTEN {CHANNEL}"
_NOTIFY = f"NOTIFY {CHANNEL}"


class Pings:
    """Pings on a connection of its own, at once after the first commit and then at most every 20 ms."""

    def __init__(self, url: URL, name: str) -> None:
        self._url, self._name = url, name
        self._due, self.tried = asyncio.Event(), asyncio.Event()

    def watch(self, pool: AsyncEngine) -> None:
        """Ping after each transaction of a pool that may have written."""

        @event.listens_for(pool.sync_engine, "checkin")
        def _ended(_connection: Any, entry: ConnectionPoolEntry) -> None:
            if entry.info.pop(WROTE, False):
                self._due.set()

    async def run(self) -> None:
        """Ping until cancelled; while that cannot be done others look by themselves, and then they are pinged once."""
        while True:
            try:
                async with await open_line(self._url, self._name) as connection:
                    self.tried.set()
                    await self._ping(connection)
            except (psycopg.Error, OSError) as error:
                log.debug("A ping was not sent: %s", error)
                self._due.set()
            finally:
                self.tried.set()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _ping(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            await connection.execute(_NOTIFY)
            await asyncio.sleep(SECONDS_BETWEEN)


@asynccontextmanager
async def pinging(url: URL, name: str) -> AsyncIterator[Pings]:
    """Ping as the role of `url`, as long as the block runs, after what the pools commit that are watched."""
    pings = Pings(url, name)
    running = asyncio.create_task(pings.run())
    try:
        await pings.tried.wait()
        yield pings
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
