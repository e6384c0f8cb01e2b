"""Serves a separate app over real HTTP, with the settings of the test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jsonpatch
from fastapi import FastAPI

from ai.settings import AiSettings
from api.app import create_app
from api.server import Connection, Server
from api.settings import ApiSettings
from database.roles import owner_url
from tests.api.live.test_live import SOON, EndOfStream, Event, Live, Stream, until

MINUTES = 600_000.0
"""A poll that no test waits for, in milliseconds: whatever arrives was pinged."""


def app_on(settings: ApiSettings, database_url: str, *, direct: str | None = None, **changed: object) -> FastAPI:
    """Return an app on a database, with changed settings; `direct` is the URL without a pooler."""
    past = None if direct is None else owner_url(direct)
    return create_app(settings.model_copy(update=changed), AiSettings(), owner_url(database_url), direct=past)


@asynccontextmanager
async def serving(app: FastAPI, api_key: str, *, http: type[Connection] = Connection) -> AsyncIterator[Live]:
    """Serve an app on its own port while the block runs, with a client that has a key."""
    server = Server(app, host="127.0.0.1", port=0, http=http)
    running = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started or running.done())
        host, port = server.servers[0].sockets[0].getsockname()
        headers = {"Authorization": f"Bearer {api_key}"}
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=f"http://{host}:{port}", headers=headers, timeout=30, limits=limits
        ) as client:
            yield Live(app, server, running, client)
    finally:
        server.should_exit = True
        async with asyncio.timeout(4 * SOON):
            await running


class Listener:
    """A client that reads one stream all the time, so that it can be used again after a timeout."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.seen: list[Event] = []
        self._events: asyncio.Queue[Event | Exception] = asyncio.Queue()

    async def next(self, within: float = SOON) -> Event:
        """Return the next event; TimeoutError when there is none in time, EndOfStream at a clean end."""
        async with asyncio.timeout(within):
            event = await self._events.get()
        if isinstance(event, Exception):
            raise event
        self.seen.append(event)
        return event

    async def is_silent(self, seconds: float) -> bool:
        """Return whether no event arrives for so long."""
        try:
            await self.next(seconds)
        except TimeoutError:
            return True
        return False

    async def listen(self) -> None:
        """Read to the end."""
        try:
            while True:
                self._events.put_nowait(await self.stream.next(within=60 * SOON))
        except (EndOfStream, httpx.HTTPError) as end:
            self._events.put_nowait(end)


@asynccontextmanager
async def listening(live: Live, url: str, **headers: str) -> AsyncIterator[Listener]:
    """Subscribe to a URL, and read the stream while the block runs."""
    async with live.stream(url, **headers) as stream:
        listener = Listener(stream)
        task = asyncio.create_task(listener.listen())
        try:
            yield listener
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


class Client:
    """A page: it has the last result, and reconnects with its tag whenever its stream ends."""

    def __init__(self, live: Live, url: str, *, by_patch: bool = False) -> None:
        self._live, self.url, self._by_patch = live, url, by_patch
        self.states: list[Any] = []
        self.known, self.times, self.patches = "", 0, 0
        self._reading: asyncio.Task[None] | None = None

    @property
    def state(self) -> Any:
        """The last result."""
        return self.states[-1] if self.states else None

    def cut(self) -> None:
        """Lose the connection."""
        if self._reading is not None:
            self._reading.cancel()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            self.times += 1
            self._reading = asyncio.create_task(self._read())
            try:
                await asyncio.wait({self._reading})
            finally:
                self._reading.cancel()
            if not self._reading.cancelled():
                self._reading.result()
            await asyncio.sleep(0.02)

    async def _read(self) -> None:
        url = f"{self.url}?delta=json-patch" if self._by_patch else self.url
        with contextlib.suppress(EndOfStream, httpx.HTTPError):
            async with self._live.stream(url, **({"Last_Event_ID": self.known} if self.known else {})) as stream:
                if stream.response.status_code != httpx.codes.OK:
                    assert stream.response.status_code == httpx.codes.SERVICE_UNAVAILABLE
                    return
                while True:
                    self._take(await stream.next(within=60 * SOON))

    def _take(self, event: Event) -> None:
        assert event.event in {None, "patch"}, event
        assert event.id != self.known
        is_patch = event.event == "patch"
        self.patches += is_patch
        self.states.append(jsonpatch.apply_patch(self.state, event.data) if is_patch else event.result)
        self.known = event.id or ""


@asynccontextmanager
async def following(*clients: Client) -> AsyncIterator[None]:
    """Run the clients while the block runs; raises the first error of one of them."""
    tasks = [asyncio.create_task(client.run()) for client in clients]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
