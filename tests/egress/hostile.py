"""Servers on this machine that behave as badly as a tenant's host may."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answer, ssl: SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answer each request with a function; yields the port, and the heads of the requests that arrive."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                await reader.readexactly(length)
                heads.append(head)
                await answer(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=ssl) as server:
        yield server.sockets[0].getsockname()[1], heads


def sending(status: str, body: bytes, *headers: str) -> Answer:
    """Return an answer with a status, a body and further headers."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return answer


def repeating(piece: bytes, seconds: float = 0.0) -> Answer:
    """Return an answer whose body never ends."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
            await asyncio.sleep(seconds)

    return answer
