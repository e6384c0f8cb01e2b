"""HTTP with next to no client: a request is bytes made beforehand, an answer is read by its Content-Length.

A client library would cost as much as what is measured, and fall on each HTTP figure, so that ratios between them would
come out smaller than they are.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from benchmarks.errors import BenchFailed

HOST = "127.0.0.1"
READ_AT_ONCE = 4 * 1024 * 1024
"""More than any answer here, so that no reading is paused half-way."""
GOOD = (b"200", b"201")
_LENGTH = b"\r\ncontent-length:"


class Wire:
    """One kept-alive connection; it carries one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, request: bytes) -> bytes:
        """Send a request and return the answer's body; raises BenchFailed for an answer that is neither 200 nor 201."""
        self._writer.write(request)
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            lowered = head.lower()
            start = lowered.index(_LENGTH) + len(_LENGTH)
            body = await self._reader.readexactly(int(lowered[start : lowered.index(b"\r\n", start)]))
        except (EOFError, ConnectionError, ValueError) as error:
            raise BenchFailed(f"{_first_line(request)} got no whole answer: {str(error) or 'cut off'}.") from error
        if head[9:12] not in GOOD:
            raise BenchFailed(f"{_first_line(request)} answered {_first_line(head)}: {body[:300].decode()}")
        return body


@asynccontextmanager
async def wires(port: int, count: int = 1) -> AsyncIterator[list[Wire]]:
    """Open connections to a server of this machine, which closes those that are idle for some seconds."""
    async with AsyncExitStack() as closing:
        opened = []
        for _ in range(count):
            reader, writer = await asyncio.open_connection(HOST, port, limit=READ_AT_ONCE)
            closing.push_async_callback(_close, writer)
            opened.append(Wire(reader, writer))
        yield opened


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def request(method: str, path: str, api_key: str, body: Mapping[str, Any] | None = None) -> bytes:
    """Return a request as it goes over the wire."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {HOST}",
        "Accept: application/json",
        f"Authorization: Bearer {api_key}",
    ]
    content = b""
    if body is not None:
        content = json.dumps(body).encode()
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


def _first_line(message: bytes) -> str:
    return message.partition(b"\r\n")[0].decode(errors="replace")
