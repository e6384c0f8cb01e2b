"""Listens for the notifications of commits, on a direct connection: a transaction pooler does not pass them on."""

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

RECONNECT_SECONDS = 1.0
NAME = "salesmatter-listen"


@asynccontextmanager
async def listen(
    direct: URL, *, on_notify: Callable[[], None], on_reconnect: Callable[[], None]
) -> AsyncIterator[None]:
    """While the block runs, call `on_notify` for each notification, and `on_reconnect` after a lost connection.

    The block begins after the first attempt to connect. A failed attempt is repeated every second.
    """
    first_attempt = asyncio.Event()
    listening = asyncio.create_task(_listen(direct, on_notify, on_reconnect, first_attempt))
    try:
        await first_attempt.wait()
        yield
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


async def _listen(
    direct: URL, on_notify: Callable[[], None], on_reconnect: Callable[[], None], first_attempt: asyncio.Event
) -> None:
    is_reconnect = False
    while True:
        try:
            async with await open_connection(direct, NAME) as connection:
                await connection.execute(LISTEN)
                first_attempt.set()
                # The change log has the commits from before LISTEN, whose notifications are lost.
                (on_reconnect if is_reconnect else on_notify)()
                async for _ in connection.notifies():
                    on_notify()
        except (psycopg.Error, OSError) as error:
            log.warning("Cannot listen for commits, trying again: %s", error)
        finally:
            first_attempt.set()
        is_reconnect = True
        await asyncio.sleep(RECONNECT_SECONDS)
