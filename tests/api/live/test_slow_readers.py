import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI

from api.live.streaming import LiveQueries, Pace
from api.server import Connection
from api.settings import ApiSettings
from tests.api.live.serving import Listener, app_on, listening, serving
from tests.api.live.test_live import SOON, Live, Rename, owner, rename, until

__all__ = ["owner", "rename"]

pytestmark = [pytest.mark.anyio, pytest.mark.own_app, pytest.mark.timeout(120, func_only=True)]

RESULTS, READERS = 200, 5
LENGTH = 100_000
"""Of a result, in bytes, or a little more."""
AHEAD = 65_536
"""What is sent ahead, by uvicorn, before anybody looks whether the client reads."""


class ShortTimeout(Connection):
    """A connection with a short read timeout."""

    read_timeout = 1.0


@pytest.fixture
def http(request: pytest.FixtureRequest) -> type[Connection]:
    """The class of connections: with the test's timeout, or that of production."""
    return getattr(request, "param", Connection)


@pytest.fixture
async def live(
    api_settings: ApiSettings, database_url: str, api_key: str, http: type[Connection]
) -> AsyncIterator[Live]:
    """Serve a process that sends results without a rate limit."""
    async with serving(app_on(api_settings, database_url, live_results_per_second=1000.0), api_key, http=http) as live:
        yield live


class SlowReader:
    """A client that has requested a stream and does not read it yet."""

    def __init__(self, live: Live, url: str) -> None:
        self._socket = socket.socket()
        # So that the kernels hold little of what is sent.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect((live.http.base_url.host, live.http.base_url.port))
        credential = live.http.headers["Authorization"]
        request = f"GET {url} HTTP/1.0\r\nAccept: text/event-stream\r\nAuthorization: {credential}\r\n\r\n"
        self._socket.sendall(request.encode())
        self._socket.setblocking(False)

    async def read_up_to(self, last: bytes) -> bytes:
        """Return the received bytes, up to this text."""
        read = bytearray()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(4 * SOON):
            while last not in read[-LENGTH:]:
                read += await loop.sock_recv(self._socket, AHEAD)
        return bytes(read)

    async def read_slowly(self) -> bytes:
        """Return the received bytes until the connection is closed, read in small pieces."""
        read = bytearray()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(8 * SOON):
            while some := await loop.sock_recv(self._socket, AHEAD):
                read += some
                await asyncio.sleep(0.005)
        return bytes(read)

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()


@contextmanager
def slow_readers(live: Live, url: str, number: int) -> Iterator[list[SlowReader]]:
    """Open so many streams that are not read."""
    readers = [SlowReader(live, url) for _ in range(number)]
    try:
        yield readers
    finally:
        for reader in readers:
            reader.close()


def unread(live: Live) -> list[int]:
    """Return how many bytes wait for each client of the server."""
    connections: set[Connection] = live.server.server_state.connections  # type: ignore[assignment]
    return [connection.transport.get_write_buffer_size() for connection in connections]


async def write(owner: psycopg.AsyncConnection, listener: Listener, number: int) -> None:
    """Change the result to another long one, and wait until a reading client has it."""
    await owner.execute(
        f"UPDATE app.workspaces SET postal_address = '{number:03}' || repeat('x', {LENGTH}) || '{number:03}'".encode()
    )
    while (await listener.next()).result["postalAddress"][:3] != f"{number:03}":
        pass
    listener.seen.clear()


async def test_a_client_that_does_not_read_costs_one_result(
    live: Live, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """While 200 results pass, at most one waits for each client; readers of the same query get them all.

    Of the intermediate results only those in the buffers of the kernel arrive. The last one always arrives.
    """
    url = f"/api/workspaces/{workspace}"
    async with listening(live, url) as listener:
        await listener.next()
        with slow_readers(live, url, READERS) as readers:
            await until(lambda: len(live.server.server_state.tasks) == READERS + 1)
            for number in range(RESULTS // 2):
                await write(owner, listener, number)
            tracemalloc.start()
            try:
                for number in range(RESULTS // 2, RESULTS):
                    await write(owner, listener, number)
                    assert max(unread(live)) < LENGTH + AHEAD
                held, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert held < RESULTS * LENGTH / 8, "a quarter of what each of them did not read meanwhile"
            for reader in readers:
                read = await reader.read_up_to(b"x199")
                assert read.count(b"id: ") < RESULTS / 5
                assert read.rfind(b"id: ") < read.find(b"x199")


@pytest.mark.parametrize("http", [ShortTimeout], indirect=True)
async def test_a_client_that_never_reads_is_disconnected(
    live: Live, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Neither the server nor the subscriptions keep anything of it; reading clients continue."""
    url = f"/api/workspaces/{workspace}"
    async with listening(live, url) as listener:
        await listener.next()
        with slow_readers(live, url, READERS):
            await until(lambda: len(live.server.server_state.tasks) == READERS + 1)
            number = 0
            while len(live.server.server_state.connections) > 1:
                number += 1
                await write(owner, listener, number)
            await until(lambda: len(live.server.server_state.tasks) == 1)
        await write(owner, listener, number + 1)
    await until(lambda: not live.app.state.follower._subscriptions())


@pytest.mark.parametrize("http", [ShortTimeout], indirect=True)
async def test_a_client_that_reads_slowly_is_not_disconnected(
    live: Live, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """A long result may take many times as long as the read timeout."""
    url = f"/api/workspaces/{workspace}"
    await owner.execute(f"UPDATE app.workspaces SET postal_address = repeat('x', {12 * LENGTH}) || 'end'".encode())
    with slow_readers(live, url, 1) as (reader,):
        await until(lambda: bool(live.server.server_state.tasks))
        await asyncio.sleep(ShortTimeout.read_timeout / 2)
        ended = asyncio.create_task(reader.read_slowly())
        await until(lambda: unread(live) == [0], within=4 * SOON)
        live.server.should_exit = True
        assert b"xend" in await ended


async def test_a_client_that_reads_again_gets_the_newest_result(
    app: FastAPI, api_key: str, workspace: str, rename: Rename
) -> None:
    """After the data that was already sent comes only the newest result, with any number of results in between."""
    sent: list[bytes] = []
    reads, gone = asyncio.Event(), asyncio.Event()
    reads.set()

    async def receive() -> dict[str, str]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        # As uvicorn: it waits until the client reads, and then takes what it is given.
        await reads.wait()
        if b"data: " in message.get("body", b""):
            sent.append(message["body"])
            reads.clear()

    path = f"/api/workspaces/{workspace}"
    headers = [(b"accept", b"text/event-stream"), (b"authorization", f"Bearer {api_key}".encode())]
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    queries = LiveQueries(app, pace=Pace(interval=0.001))
    streaming = asyncio.create_task(queries({**scope, "headers": headers, "app": app, "state": {}}, receive, send))
    await until(lambda: len(sent) == 1)
    for name in ("Missed", "Missed too", "Last"):
        await rename(name)
        await until(partial(is_newest, name, queries))
    reads.set()
    await until(lambda: len(sent) == 2)
    assert b'"Last"' in sent[1]
    gone.set()
    reads.set()
    async with asyncio.timeout(SOON):
        await streaming


def is_newest(name: str, queries: LiveQueries) -> bool:
    """Return whether the newest result of the only query has a name."""
    (query,) = queries._queries._shared.values()
    return query.result is not None and name.encode() in query.result.body
