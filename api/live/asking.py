"""Asks a GET inside the process, as a client would over the line."""

import asyncio
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Scope

SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: the message that begins it, and the whole body."""

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
        """Whether the body is a JSON document, be it a result or a problem."""
        return self.headers.get("content-type", "").partition(";")[0].endswith("json")


async def run_query(app: ASGIApp, scope: Scope) -> Answer:
    """Return what an app answers to a request without a body."""
    start: Message = {"status": SERVER_ERROR, "headers": []}
    body = bytearray()
    is_asked = False

    async def receive() -> Message:
        nonlocal is_asked
        if is_asked:
            # Who answers piece by piece waits here for the client to go, and we do not.
            await asyncio.get_running_loop().create_future()
        is_asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(start, bytes(body))
