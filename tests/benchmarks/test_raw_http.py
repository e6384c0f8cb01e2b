import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.raw_http import build_request, open_connections

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def serve_responses(*responses: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Run a server that sends these responses on one connection; yields its port and the request heads."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for response in responses:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(response)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heads


async def test_a_connection_is_reused() -> None:
    """Consecutive responses on one connection are each read to their end and no further."""
    async with (
        serve_responses(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst",
            b"HTTP/1.1 201 Created\r\ncontent-length: 6\r\nx: y\r\n\r\nsecond",
        ) as (port, heads),
        open_connections(port) as (connection,),
    ):
        request = build_request("GET", "/a?b=c", "sm_key")
        assert [await connection.send(request), await connection.send(request)] == [b"first", b"second"]
        assert heads[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
        assert b"Authorization: Bearer sm_key\r\n" in heads[0]


async def test_an_error_response_is_an_error() -> None:
    """A response that is no success raises an error with the request and the server's message."""
    async with (
        serve_responses(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone") as (port, _),
        open_connections(port) as (connection,),
    ):
        with pytest.raises(BenchmarkError, match=r"GET /a HTTP/1\.1 returned HTTP/1\.1 404 Not Found: none"):
            await connection.send(build_request("GET", "/a", "sm_key"))


@pytest.mark.parametrize(
    "response", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"HTTP/1.1 200 OK\r\n\r\n"]
)
async def test_an_incomplete_response_is_an_error(response: bytes) -> None:
    """A closed connection or a response without a length raises an error instead of waiting."""
    async with serve_responses(response) as (port, _), open_connections(port) as (connection,):
        with pytest.raises(BenchmarkError, match="got no complete response"):
            await connection.send(build_request("GET", "/a", "sm_key"))


def test_a_body_has_its_headers() -> None:
    """A request with a body has the headers Content-Type and Content-Length."""
    head, _, body = build_request("POST", "/a", "sm_key", {"name": "Zoë"}).partition(b"\r\n\r\n")

    assert body == rb'{"name": "Zo\u00eb"}'
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Content-Type: application/json" in head
