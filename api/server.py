"""The process that serves HTTP until it is told to stop."""

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
    """One client's connection; it is cut when nothing of what was sent is read, so that nothing is kept for ever.

    Nobody else does: a connection that is closed waits until all is sent.
    """

    patience = 60.0
    """Seconds in which a client must have read something."""
    _looking: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Begin to look whether the client reads: more is waiting for it than is sent ahead."""
        super().pause_writing()
        self._look_later(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Look no more: the client has read."""
        self._look_no_more()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more: the client is gone."""
        self._look_no_more()
        super().connection_lost(exc)

    def _look_later(self, unread: int) -> None:
        self._looking = self.loop.call_later(self.patience, self._look, unread)

    def _look(self, unread: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < unread:
            self._look_later(left)
        else:
            self.transport.abort()

    def _look_no_more(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None


class Server(uvicorn.Server):
    """Serves the app; live streams end first when it stops, because it waits for every connection."""

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
        """Start, and leave all that lives as long as the process out of what the garbage collector walks through."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then wait for the requests that are under way."""
        follower: Follower | None = getattr(self._app.state, "follower", None)
        if follower is not None:
            follower.end()
        await super().shutdown(sockets)


def serve(host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve as the environment describes it, until SIGTERM or SIGINT."""
    write_json_lines()
    Server(create_app_from_environment(), host=host, port=port).run()
