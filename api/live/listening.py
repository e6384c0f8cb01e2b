"""Hears the pings of those who commit, on a direct connection: a pooler in transaction mode passes none on."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psycopg
from sqlalchemy.engine import URL

from database.commit_notifier import LISTEN
from database.engine import open_connection

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
NAME = "salesmatter-listen"


@asynccontextmanager
async def listen(direct: URL, *, heard: Callable[[], None], regained: Callable[[], None]) -> AsyncIterator[None]:
    """Call `heard` on every ping, as long as the block runs, and `regained` on each new line after one that was lost.

    The block begins when a line was asked for; while there is none it is tried again every second.
    """
    tried = asyncio.Event()
    hearing = asyncio.create_task(_hear(direct, heard, regained, tried))
    try:
        await tried.wait()
        yield
    finally:
        hearing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await hearing


async def _hear(direct: URL, heard: Callable[[], None], regained: Callable[[], None], tried: asyncio.Event) -> None:
    was_lost = False
    while True:
        try:
            async with await open_connection(direct, NAME) as connection:
                await connection.execute(LISTEN)
                tried.set()
                # What was pinged before is in the log.
                (regained if was_lost else heard)()
                async for _ in connection.notifies():
                    heard()
        except (psycopg.Error, OSError) as error:
            log.warning("Pings cannot be heard, trying again: %s", error)
        finally:
            tried.set()
        was_lost = True
        await asyncio.sleep(AGAIN_SECONDS)
