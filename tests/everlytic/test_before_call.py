"""What `before_call` is promised, against a server that keeps every byte it is given."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from everlytic import errors
from everlytic.client import EverlyticClient
from tests.everlytic.mails import a_mail

pytestmark = pytest.mark.anyio

ANSWER = b'HTTP/1.1 200 OK\r\ncontent-length: 33\r\n\r\n{"transactions": [{"id": "t-1"}]}'


@dataclass(slots=True)
class Tape:
    """A raw server: how often it was connected to, all bytes it got; it answers what it is told to."""

    url: str = ""
    answer: bytes = b""
    connections: int = 0
    received: bytearray = field(default_factory=bytearray)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.connected.set()
        while chunk := await reader.read(65536):
            self.received += chunk
            if self.received.endswith(b"}") and self.answer:
                writer.write(self.answer)
        writer.close()
        self.ended.set()

    def client(self, http: httpx.AsyncClient) -> EverlyticClient:
        return EverlyticClient(http, transactional_url=self.url, tenant_url=self.url, username="u", api_key="k")


@pytest.fixture
async def tape() -> AsyncIterator[Tape]:
    """Listen on a free port."""
    kept = Tape()
    async with await asyncio.start_server(kept.serve, "127.0.0.1", 0) as server:
        kept.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield kept


class Stopped(Exception):
    """Somebody objects."""


async def object_() -> None:
    """Have somebody object."""
    raise Stopped


async def test_an_objection_leaves_not_a_byte(tape: Tape, http: httpx.AsyncClient) -> None:
    """The connection stood, the objection comes out as it is, and the server has got nothing when it is closed."""
    with pytest.raises(Stopped):
        await tape.client(http).send(a_mail(), before_call=object_)
    await tape.ended.wait()
    assert tape.connections == 1
    assert tape.received == b""


async def test_an_objection_that_looks_like_the_transports_comes_out_too(tape: Tape, http: httpx.AsyncClient) -> None:
    """Whatever is raised: a time-out of the asker's own is not taken for one of the provider."""

    async def time_out() -> None:
        raise httpx.ReadTimeout("somebody else's")

    with pytest.raises(httpx.ReadTimeout, match="somebody else's"):
        await tape.client(http).send(a_mail(), before_call=time_out)


async def test_it_is_asked_once_when_the_connection_stands(tape: Tape, http: httpx.AsyncClient) -> None:
    """It is asked after the connection was made and before any byte, for a kept connection as well."""
    tape.answer = ANSWER
    seen: list[tuple[int, int]] = []

    async def look() -> None:
        await tape.connected.wait()
        seen.append((tape.connections, len(tape.received)))

    client = tape.client(http)
    await client.send(a_mail(), before_call=look)
    sent = len(tape.received)
    await client.send(a_mail(), before_call=look)
    assert seen == [(1, 0), (1, sent)]


async def test_the_pool_is_clean_after_an_objection(tape: Tape) -> None:
    """With room for a single connection the next send goes through, and only its bytes arrive."""
    tape.answer = ANSWER
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1), timeout=httpx.Timeout(10, pool=5)) as http:
        for _ in range(3):
            with pytest.raises(Stopped):
                await tape.client(http).send(a_mail(), before_call=object_)
        assert (await tape.client(http).send(a_mail())).transaction_id == "t-1"
    assert tape.received.count(b"POST ") == 1


async def test_through_a_proxy_it_is_asked_for_the_mail_alone() -> None:
    """The CONNECT that a proxy is sent is not the call: a proxy that refuses it was asked nothing, nothing was sent."""
    asked: list[int] = []

    async def count() -> None:
        asked.append(1)

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with httpx.AsyncClient(proxy=f"http://127.0.0.1:{port}") as http:
            url = "https://api.everlytic.example"
            client = EverlyticClient(http, transactional_url=url, tenant_url=url, username="u", api_key="k")
            with pytest.raises(errors.Unreachable):
                await client.send(a_mail(), before_call=count)
    assert asked == []


@asynccontextmanager
async def plain_text_server() -> AsyncIterator[int]:
    """Serve what is no TLS, and yield the port."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 not what you expected\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_what_fails_before_the_first_byte_was_not_sent(http: httpx.AsyncClient) -> None:
    """A host that does not resolve, or cannot, a closed port, and a TLS handshake that fails: all prove it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    async with plain_text_server() as no_tls:
        hosts = ["http://no-such-host.invalid", "http://xn--/", f"http://{'a' * 70}.example", "ftp://x.example"]
        for url in [*hosts, f"http://127.0.0.1:{closed}", f"https://127.0.0.1:{no_tls}"]:
            client = EverlyticClient(http, transactional_url=url, tenant_url=url, username="u", api_key="k")
            with pytest.raises(errors.Unreachable):
                await client.send(a_mail())


async def test_a_connection_that_ends_after_the_first_byte_is_unknown(http: httpx.AsyncClient) -> None:
    """Once anything was written nothing is proved, even if no answer ever begins."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = EverlyticClient(http, transactional_url=url, tenant_url=url, username="u", api_key="k")
        with pytest.raises(errors.ConnectionLost):
            await client.send(a_mail())
