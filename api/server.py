"""The process that serves HTTP until it is told to stop."""

import gc
import socket

import uvicorn
from fastapi import FastAPI

from api.app import create_app_from_environment
from api.live.service import Follower
from api.logs import write_json_lines

STOP_WITHIN_SECONDS = 5


class Server(uvicorn.Server):
    """Serves the app; live streams end first when it stops, because it waits for every connection."""

    def __init__(self, app: FastAPI, *, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
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
