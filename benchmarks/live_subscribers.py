"""A process that subscribes to live queries and records when each event has arrived.

Its standard input is one line of JSON: `port`, `requests` (complete HTTP requests), and `listen` (a Postgres URL or
null). When each subscription has received its first event, it writes {"connected": seconds}, and then records the
events with a mark. At the end of its input it writes {"events": [[number, ns] …], "notifications": [[number, ns] …],
"cpu_seconds"}: the number of a mark or notification, and the time of the monotonic clock, which processes share.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence

import psycopg

from benchmarks.live_marks import CHANNEL, find_number

EVENT_END, ID = b"\n\n\r\n", b"\nid: "
"""The end of a chunk with a complete event, and the field that each event with a result has."""
CONNECT_CONCURRENCY = 64
"""The number of concurrent new connections; more would overflow the server's backlog."""
TIMEOUT_SECONDS = 600.0


class Subscriber(asyncio.Protocol):
    """A connection with one stream; the future `first` ends when the first event has arrived."""

    def __init__(self, request: bytes, events: list[tuple[int, int]]) -> None:
        self._request, self._events = request, events
        self._received = b""
        self.first: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Subscribe."""
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Record the time when an event is complete; only its mark is searched, and nothing is parsed."""
        self._received = self._received + data if self._received else data
        if not self._received.endswith(EVENT_END):
            return
        now = time.monotonic_ns()
        received, self._received = self._received, b""
        if not self.first.done():
            # The first event contains what was committed before the subscription.
            if ID in received:
                self.first.set_result(None)
        elif (number := find_number(received)) is not None:
            self._events.append((number, now))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the wait for the first event."""
        if not self.first.done():
            response = self._received[:300].decode(errors="replace")
            self.first.set_exception(exc or ConnectionError(f"The server closed the connection: {response}"))


async def subscribe(port: int, requests: Sequence[bytes], events: list[tuple[int, int]]) -> list[asyncio.BaseTransport]:
    """Open a stream for each request, and return the connections when each has received its first event."""
    loop, semaphore = asyncio.get_running_loop(), asyncio.Semaphore(CONNECT_CONCURRENCY)

    async def open_stream(request: bytes) -> asyncio.BaseTransport:
        async with semaphore:
            transport, subscriber = await loop.create_connection(lambda: Subscriber(request, events), "127.0.0.1", port)
            await subscriber.first
        return transport

    async with asyncio.timeout(TIMEOUT_SECONDS):
        return list(await asyncio.gather(*(open_stream(request) for request in requests)))


async def _record_notifications(connection: psycopg.AsyncConnection, notifications: list[tuple[int, int]]) -> None:
    async for notification in connection.notifies():
        now = time.monotonic_ns()
        notifications.append((int(notification.payload), now))


async def _main() -> None:
    # One line, because the end of the input ends the measurement.
    config = json.loads(await asyncio.to_thread(sys.stdin.readline))
    events: list[tuple[int, int]] = []
    notifications: list[tuple[int, int]] = []
    started = time.monotonic()
    requests = [request.encode() for request in config["requests"]]
    transports = await subscribe(config["port"], requests, events)
    listener: asyncio.Task[None] | None = None
    if config["listen"]:
        connection = await psycopg.AsyncConnection.connect(config["listen"], autocommit=True)
        await connection.execute(f"LISTEN {CHANNEL}")
        listener = asyncio.create_task(_record_notifications(connection, notifications))
    _write_line({"connected": time.monotonic() - started})
    cpu_before = time.process_time()
    await asyncio.to_thread(sys.stdin.read)
    _write_line({"events": events, "notifications": notifications, "cpu_seconds": time.process_time() - cpu_before})
    if listener is not None:
        listener.cancel()
    for transport in transports:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.abort()


def _write_line(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main())
