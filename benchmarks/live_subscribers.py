"""Subscribes to live queries, from a process of its own, and notes when each event was there whole.

Its standard input is one line of JSON: `port`, `requests` (whole HTTP requests), and `listen` (Postgres' URL, or null).
When each subscription has its first event it writes {"connected": seconds}, and notes then which events bring a mark.
When its input ends it writes {"events": [[number, ns] …], "heard": [[number, ns] …], "cpu_seconds"}: the number in a
mark or in a notification, and the monotonic clock, which all processes of a machine share.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence

import psycopg

from benchmarks.live_marks import CHANNEL, number_in

EVENT_END, ID = b"\n\n\r\n", b"\nid: "
"""How a chunk ends that brings a whole event, and what every event has that brings a result."""
CONNECTING = 64
"""So many at once; else the server's queue of new connections overflows."""
LONGEST_SECONDS = 600.0


class Subscriber(asyncio.Protocol):
    """One connection with one stream; `first` is set when it has its first event."""

    def __init__(self, request: bytes, events: list[tuple[int, int]]) -> None:
        self._request, self._events = request, events
        self._came = b""
        self.first: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Subscribe."""
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Note when an event is whole; only its mark is looked for, and nothing is parsed."""
        self._came = self._came + data if self._came else data
        if not self._came.endswith(EVENT_END):
            return
        now = time.monotonic_ns()
        came, self._came = self._came, b""
        if not self.first.done():
            # It brings what was committed before there was a subscription.
            if ID in came:
                self.first.set_result(None)
        elif (number := number_in(came)) is not None:
            self._events.append((number, now))

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to whoever waits for the first event."""
        if not self.first.done():
            said = self._came[:300].decode(errors="replace")
            self.first.set_exception(exc or ConnectionError(f"The server closed the connection: {said}"))


async def subscribe(port: int, requests: Sequence[bytes], events: list[tuple[int, int]]) -> list[asyncio.BaseTransport]:
    """Open so many streams, and return their connections when each has its first event."""
    loop, turn = asyncio.get_running_loop(), asyncio.Semaphore(CONNECTING)

    async def one(request: bytes) -> asyncio.BaseTransport:
        async with turn:
            transport, subscriber = await loop.create_connection(lambda: Subscriber(request, events), "127.0.0.1", port)
            await subscriber.first
        return transport

    async with asyncio.timeout(LONGEST_SECONDS):
        return list(await asyncio.gather(*(one(request) for request in requests)))


async def _hear(connection: psycopg.AsyncConnection, heard: list[tuple[int, int]]) -> None:
    async for notification in connection.notifies():
        now = time.monotonic_ns()
        heard.append((int(notification.payload), now))


async def _main() -> None:
    # A line, because the end of the input is the end of the measurement.
    told = json.loads(await asyncio.to_thread(sys.stdin.readline))
    events: list[tuple[int, int]] = []
    heard: list[tuple[int, int]] = []
    started = time.monotonic()
    requests = [one.encode() for one in told["requests"]]
    transports = await subscribe(told["port"], requests, events)
    hearing: asyncio.Task[None] | None = None
    if told["listen"]:
        connection = await psycopg.AsyncConnection.connect(told["listen"], autocommit=True)
        await connection.execute(f"LISTEN {CHANNEL}")
        hearing = asyncio.create_task(_hear(connection, heard))
    _say({"connected": time.monotonic() - started})
    spent = time.process_time()
    await asyncio.to_thread(sys.stdin.read)
    _say({"events": events, "heard": heard, "cpu_seconds": time.process_time() - spent})
    if hearing is not None:
        hearing.cancel()
    for transport in transports:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.abort()


def _say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main())
