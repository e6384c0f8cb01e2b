"""Runs a GET inside the process, with the same result as over HTTP."""

import asyncio
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Scope

SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class SubResponse:
    """The response of a subrequest: its `http.response.start` message and the whole body."""

    start: Message
    body: bytes

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.start["status"])

    @property
    def headers(self) -> Headers:
        """The headers."""
        return Headers(raw=self.start["headers"])

    @property
    def is_json(self) -> bool:
        """Whether the body is a JSON document: a result or a problem."""
        return self.headers.get("content-type", "").partition(";")[0].endswith("json")


async def run_subrequest(app: ASGIApp, scope: Scope) -> SubResponse:
    """Send a request without a body to an app and return its response."""
    start: Message = {"status": SERVER_ERROR, "headers": []}
    body = bytearray()
    is_received = False

    async def receive() -> Message:
        nonlocal is_received
        if is_received:
            # A streaming response waits here for the client to disconnect. A subrequest never disconnects.
            await asyncio.get_running_loop().create_future()
        is_received = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, send)
    return SubResponse(start, bytes(body))
