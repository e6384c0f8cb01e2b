"""A TCP proxy in front of the database: it forwards connections, closes them, or drops responses of the database."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit


class Gate:
    """A TCP proxy on a constant port, also while the server behind it restarts."""

    def __init__(self) -> None:
        self.target: tuple[str, int] | None = None
        self.mute_on: bytes | None = None
        """Requests with this text run and get no response; the empty text (`b""`) matches every request."""
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()

    def url(self, database_url: str) -> str:
        """Open the proxy to a database, and return the URL through it."""
        parts = urlsplit(database_url)
        assert parts.hostname is not None
        self.target = parts.hostname, parts.port or 5432
        user = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{self.port}"))

    def shut(self) -> None:
        """Reject new connections, and close the open ones."""
        self.target = None
        self.cut()

    def cut(self) -> None:
        """Close all connections; new ones are accepted."""

        async def cut() -> None:
            for writer in self._writers:
                writer.transport.abort()

        asyncio.run_coroutine_threadsafe(cut(), self._loop).result()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.target is None:
            writer.transport.abort()
            return
        there, onward = await asyncio.open_connection(*self.target)
        self._writers |= {writer, onward}
        try:
            mute = asyncio.Event()
            await asyncio.gather(self._ask(reader, onward, mute), self._answer(there, writer, mute))
        finally:
            self._writers -= {writer, onward}

    async def _ask(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, mute: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if self.mute_on is not None and self.mute_on in data:
                    mute.set()
                sink.write(data)
                await sink.drain()
        sink.close()

    async def _answer(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, mute: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if not mute.is_set():
                    sink.write(data)
                    await sink.drain()
        sink.close()

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._pass, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        server.close()
        passing = asyncio.all_tasks(self._loop)
        for one in passing:
            one.cancel()
        self._loop.run_until_complete(asyncio.gather(*passing, return_exceptions=True))
        self._loop.close()

    @contextmanager
    def standing(self) -> Iterator["Gate"]:
        """Keep the proxy open for the block."""
        ready = threading.Event()
        thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        thread.start()
        assert ready.wait(10)
        try:
            yield self
        finally:
            self.shut()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(10)
