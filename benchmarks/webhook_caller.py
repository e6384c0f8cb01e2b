"""Posts webhooks as fast as they are answered, from a process of its own: many connections, each one call at a time.

Its standard input is one JSON object: `port`, `connections`, `seconds`, and `requests`, whole HTTP requests in base64
that are sent in turn. It writes {"calls", "seconds"}; an answer other than 200 ends it with status 1.
"""

import asyncio
import base64
import itertools
import json
import sys
import time
from collections.abc import Iterator

HEAD_END, LENGTH = b"\r\n\r\n", b"content-length: "
LONGEST_SECONDS = 60.0
"""What the last answers may take."""


class Caller(asyncio.Protocol):
    """One connection; `done` is set when it has its last answer, or its first bad one."""

    def __init__(self, requests: Iterator[bytes], deadline: float) -> None:
        self._requests, self._deadline = requests, deadline
        self._came = b""
        self._transport: asyncio.WriteTransport | None = None
        self.calls = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make the first call."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """Count an answer that is whole, and make the next call while there is time."""
        self._came += data
        head, _, body = self._came.partition(HEAD_END)
        start = head.lower().find(LENGTH) + len(LENGTH)
        if not body or len(body) < int(head[start:].partition(b"\r\n")[0]):
            return
        if head[9:12] != b"200":
            self._end(RuntimeError(self._came[:500].decode(errors="replace")))
            return
        self.calls += 1
        self._came = b""
        if time.monotonic() < self._deadline:
            assert self._transport is not None
            self._transport.write(next(self._requests))
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so, if more was to come."""
        self._end(exc or ConnectionError("The server closed the connection."))

    def _end(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


async def call(port: int, connections: int, seconds: float, requests: list[bytes]) -> tuple[int, float]:
    """Return how many calls were answered 200, and in how many seconds from the first to the last."""
    loop, turns = asyncio.get_running_loop(), itertools.cycle(requests)
    started = time.monotonic()
    callers = []
    for _ in range(connections):
        _, caller = await loop.create_connection(lambda: Caller(turns, started + seconds), "127.0.0.1", port)
        callers.append(caller)
    await asyncio.wait_for(asyncio.gather(*(caller.done for caller in callers)), seconds + LONGEST_SECONDS)
    return sum(caller.calls for caller in callers), time.monotonic() - started


if __name__ == "__main__":
    told = json.load(sys.stdin)
    bodies = [base64.b64decode(one) for one in told["requests"]]
    calls, took = asyncio.run(call(told["port"], told["connections"], told["seconds"], bodies))
    sys.stdout.write(json.dumps({"calls": calls, "seconds": took}))
