import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks.errors import BenchFailed
from benchmarks.wire import request, wires

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that gives these answers on one connection, then closes it; and what it was sent."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heads


async def test_a_connection_is_kept() -> None:
    """Answer after answer comes over one connection, each read to its end and no further."""
    async with (
        answering(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst",
            b"HTTP/1.1 201 Created\r\ncontent-length: 6\r\nx: y\r\n\r\nsecond",
        ) as (port, heads),
        wires(port) as (wire,),
    ):
        asked = request("GET", "/a?b=c", "sm_key")
        assert [await wire.ask(asked), await wire.ask(asked)] == [b"first", b"second"]
        assert heads[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
        assert b"Authorization: Bearer sm_key\r\n" in heads[0]


async def test_a_refusal_is_no_figure() -> None:
    """An answer that is not a success ends the bench, in a sentence with the request and the server's own words."""
    async with (
        answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone") as (port, _),
        wires(port) as (wire,),
    ):
        with pytest.raises(BenchFailed, match=r"GET /a HTTP/1\.1 answered HTTP/1\.1 404 Not Found: none"):
            await wire.ask(request("GET", "/a", "sm_key"))


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"HTTP/1.1 200 OK\r\n\r\n"]
)
async def test_half_an_answer_is_no_figure(answer: bytes) -> None:
    """A connection that is cut, or an answer without a length, ends the bench instead of leaving it waiting."""
    async with answering(answer) as (port, _), wires(port) as (wire,):
        with pytest.raises(BenchFailed, match="got no whole answer"):
            await wire.ask(request("GET", "/a", "sm_key"))


def test_a_body_is_announced() -> None:
    """A request with a body says its type and its length in bytes."""
    head, _, body = request("POST", "/a", "sm_key", {"name": "Zoë"}).partition(b"\r\n\r\n")

    assert body == rb'{"name": "Zo\u00eb"}'
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Content-Type: application/json" in head
