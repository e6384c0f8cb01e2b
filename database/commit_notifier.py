"""Notifies other processes of commits, so that they read the change log at once.

It sends NOTIFY on its own connection, because Postgres serializes the commits of all transactions that notify.
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

from database.engine import open_connection
from database.statements import WROTE

log = logging.getLogger(__name__)

CHANNEL = "salesmatter_changes"
MIN_INTERVAL_SECONDS = 0.02
"""The least time between two notifications of one process."""
RETRY_SECONDS = 1.0

LISTEN = f"LISTEN {CHANNEL}"
_NOTIFY = f"NOTIFY {CHANNEL}"


class CommitNotifier:
    """Sends NOTIFY on its own connection, at once after the first commit and then at most every 20 ms."""

    def __init__(self, url: URL, name: str) -> None:
        self._url, self._name = url, name
        self._due, self.attempted = asyncio.Event(), asyncio.Event()

    def watch(self, pool: AsyncEngine) -> None:
        """Notify after each transaction of a pool that may have written."""

        @event.listens_for(pool.sync_engine, "checkin")
        def _on_checkin(_connection: Any, entry: ConnectionPoolEntry) -> None:
            if entry.info.pop(WROTE, False):
                self._due.set()

    async def run(self) -> None:
        """Notify until cancelled; after a lost connection it reconnects and notifies once.

        Other processes poll the change log, so they see the commits of the meantime later.
        """
        while True:
            try:
                async with await open_connection(self._url, self._name) as connection:
                    self.attempted.set()
                    await self._notify(connection)
            except (psycopg.Error, OSError) as error:
                log.debug("A notification could not be sent: %s", error)
                self._due.set()
            finally:
                self.attempted.set()
            await asyncio.sleep(RETRY_SECONDS)

    async def _notify(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            await connection.execute(_NOTIFY)
            await asyncio.sleep(MIN_INTERVAL_SECONDS)


@asynccontextmanager
async def run_commit_notifier(url: URL, name: str) -> AsyncIterator[CommitNotifier]:
    """Run a notifier as the role of `url` until the block ends; it notifies of the commits of watched pools."""
    notifier = CommitNotifier(url, name)
    task = asyncio.create_task(notifier.run())
    try:
        await notifier.attempted.wait()
        yield notifier
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
