"""A minimal HTTP client: requests are prepared bytes, and responses are read by their Content-Length.

A client library would take as much time as the measured server and distort the ratios between HTTP figures.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from benchmarks.errors import BenchmarkError

HOST = "127.0.0.1"
BUFFER_BYTES = 4 * 1024 * 1024
"""Larger than any response here, so that reading never pauses."""
SUCCESS_CODES = (b"200", b"201")
_LENGTH = b"\r\ncontent-length:"


class RawConnection:
    """A kept-alive connection for one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, request: bytes) -> bytes:
        """Send a request and return the body of the response; raises BenchmarkError unless the status is 200 or 201."""
        self._writer.write(request)
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            lowered = head.lower()
            start = lowered.index(_LENGTH) + len(_LENGTH)
            body = await self._reader.readexactly(int(lowered[start : lowered.index(b"\r\n", start)]))
        except (EOFError, ConnectionError, ValueError) as error:
            raise BenchmarkError(
                f"{_first_line(request)} got no complete response: {str(error) or 'connection closed'}."
            ) from error
        if head[9:12] not in SUCCESS_CODES:
            raise BenchmarkError(f"{_first_line(request)} returned {_first_line(head)}: {body[:300].decode()}")
        return body


@asynccontextmanager
async def open_connections(port: int, count: int = 1) -> AsyncIterator[list[RawConnection]]:
    """Open connections to a local server; the server closes connections that are idle for some seconds."""
    async with AsyncExitStack() as closing:
        connections = []
        for _ in range(count):
            reader, writer = await asyncio.open_connection(HOST, port, limit=BUFFER_BYTES)
            closing.push_async_callback(_close, writer)
            connections.append(RawConnection(reader, writer))
        yield connections


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def build_request(method: str, path: str, api_key: str, body: Mapping[str, Any] | None = None) -> bytes:
    """Return the bytes of a request."""
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
