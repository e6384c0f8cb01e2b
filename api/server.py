"""The process that serves HTTP until it is stopped."""

import asyncio
import gc
import socket

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.app import create_app_from_environment
from api.http.logs import write_json_lines
from api.live.service import Follower

STOP_WITHIN_SECONDS = 5


class Connection(HttpToolsProtocol):
    """One client's connection. It is aborted when the client reads nothing, so that its buffer is freed.

    Neither uvicorn nor asyncio has such a timeout: a closed connection waits until everything is sent.
    """

    read_timeout = 60.0
    """Seconds within which a client must have read something."""
    _timer: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Start the timeout: the write buffer is full."""
        super().pause_writing()
        self._start_timer(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Stop the timeout: the client has read."""
        self._stop_timer()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timeout: the client has disconnected."""
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self, unread: int) -> None:
        self._timer = self.loop.call_later(self.read_timeout, self._abort_unless_read, unread)

    def _abort_unless_read(self, unread: int) -> None:
        remaining = self.transport.get_write_buffer_size()
        if remaining < unread:
            self._start_timer(remaining)
        else:
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server(uvicorn.Server):
    """Serves the app. When it stops it ends the live streams first, because it waits for every connection."""

    def __init__(self, app: FastAPI, *, host: str, port: int, http: type[Connection] = Connection) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=http,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=STOP_WITHIN_SECONDS,
            )
        )
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and exclude the objects that exist now from garbage collection: they live as long as the process."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then wait for unfinished requests."""
        follower: Follower | None = getattr(self._app.state, "follower", None)
        if follower is not None:
            follower.end()
        await super().shutdown(sockets)


def serve(host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve with settings from the environment, until SIGTERM or SIGINT."""
    write_json_lines()
    Server(create_app_from_environment(), host=host, port=port).run()
