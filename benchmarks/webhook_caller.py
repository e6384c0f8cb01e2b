"""A process that posts webhooks as fast as possible on many connections, each with one call at a time.

Its standard input is one JSON object: `port`, `connections`, `seconds`, and `requests`, complete HTTP requests in
base64 that are sent in rotation. It writes {"calls", "seconds"}; a response other than 200 ends it with status 1.
"""

import asyncio
import base64
import itertools
import json
import sys
import time
from collections.abc import Iterator

HEAD_END, LENGTH = b"\r\n\r\n", b"content-length: "
TIMEOUT_SECONDS = 60.0
"""The time limit of the last responses."""


class WebhookClient(asyncio.Protocol):
    """A connection; the future `done` ends with the last response or the first failure."""

    def __init__(self, requests: Iterator[bytes], deadline: float) -> None:
        self._requests, self._deadline = requests, deadline
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None
        self.calls = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """Count a complete response, and send the next request until the deadline."""
        self._received += data
        head, _, body = self._received.partition(HEAD_END)
        start = head.lower().find(LENGTH) + len(LENGTH)
        if not body or len(body) < int(head[start:].partition(b"\r\n")[0]):
            return
        if head[9:12] != b"200":
            self._end(RuntimeError(self._received[:500].decode(errors="replace")))
            return
        self.calls += 1
        self._received = b""
        if time.monotonic() < self._deadline:
            assert self._transport is not None
            self._transport.write(next(self._requests))
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail, unless the last response has arrived."""
        self._end(exc or ConnectionError("The server closed the connection."))

    def _end(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


async def post_webhooks(port: int, connections: int, seconds: float, requests: list[bytes]) -> tuple[int, float]:
    """Return the number of 200 responses, and the seconds from the first request to the last response."""
    loop, rotation = asyncio.get_running_loop(), itertools.cycle(requests)
    started = time.monotonic()
    callers = []
    for _ in range(connections):
        _, caller = await loop.create_connection(lambda: WebhookClient(rotation, started + seconds), "127.0.0.1", port)
        callers.append(caller)
    await asyncio.wait_for(asyncio.gather(*(caller.done for caller in callers)), seconds + TIMEOUT_SECONDS)
    return sum(caller.calls for caller in callers), time.monotonic() - started


if __name__ == "__main__":
    config = json.load(sys.stdin)
    requests = [base64.b64decode(request) for request in config["requests"]]
    calls, seconds = asyncio.run(post_webhooks(config["port"], config["connections"], config["seconds"], requests))
    sys.stdout.write(json.dumps({"calls": calls, "seconds": seconds}))
