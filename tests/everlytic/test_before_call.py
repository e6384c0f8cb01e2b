"""Tests `before_call` against a server that records every byte it receives."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from everlytic import errors
from everlytic.client import EverlyticClient
from tests.everlytic.mails import make_mail

pytestmark = pytest.mark.anyio

RESPONSE = b'HTTP/1.1 200 OK\r\ncontent-length: 33\r\n\r\n{"transactions": [{"id": "t-1"}]}'


@dataclass(slots=True)
class RecordingServer:
    """A raw server that records its connections and all received bytes, and sends a fixed response."""

    url: str = ""
    response: bytes = b""
    connections: int = 0
    received: bytearray = field(default_factory=bytearray)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.connected.set()
        while chunk := await reader.read(65536):
            self.received += chunk
            if self.received.endswith(b"}") and self.response:
                writer.write(self.response)
        writer.close()
        self.ended.set()

    def client(self, http: httpx.AsyncClient) -> EverlyticClient:
        return EverlyticClient(http, transactional_url=self.url, tenant_url=self.url, username="u", api_key="k")


@pytest.fixture
async def recorder() -> AsyncIterator[RecordingServer]:
    """Listen on a free port."""
    recorder = RecordingServer()
    async with await asyncio.start_server(recorder.serve, "127.0.0.1", 0) as server:
        recorder.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield recorder


class CallRefusedError(Exception):
    """The hook refused the call."""


async def refuse_call() -> None:
    """Refuse the call."""
    raise CallRefusedError


async def test_a_refused_call_sends_no_byte(recorder: RecordingServer, http: httpx.AsyncClient) -> None:
    """The hook's exception is propagated, and the server has a connection but no byte."""
    with pytest.raises(CallRefusedError):
        await recorder.client(http).send(make_mail(), before_call=refuse_call)
    await recorder.ended.wait()
    assert recorder.connections == 1
    assert recorder.received == b""


async def test_a_transport_error_of_the_hook_is_propagated(recorder: RecordingServer, http: httpx.AsyncClient) -> None:
    """A timeout raised by the hook itself is not converted into a timeout of the provider."""

    async def time_out() -> None:
        raise httpx.ReadTimeout("of the hook")

    with pytest.raises(httpx.ReadTimeout, match="of the hook"):
        await recorder.client(http).send(make_mail(), before_call=time_out)


async def test_the_hook_runs_after_the_connection_is_made(recorder: RecordingServer, http: httpx.AsyncClient) -> None:
    """The hook runs after the connection is made and before any byte, also on a reused connection."""
    recorder.response = RESPONSE
    seen: list[tuple[int, int]] = []

    async def record() -> None:
        await recorder.connected.wait()
        seen.append((recorder.connections, len(recorder.received)))

    client = recorder.client(http)
    await client.send(make_mail(), before_call=record)
    sent = len(recorder.received)
    await client.send(make_mail(), before_call=record)
    assert seen == [(1, 0), (1, sent)]


async def test_a_refused_call_frees_its_connection(recorder: RecordingServer) -> None:
    """With a pool of one connection the next send succeeds, and the server receives only its bytes."""
    recorder.response = RESPONSE
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1), timeout=httpx.Timeout(10, pool=5)) as http:
        for _ in range(3):
            with pytest.raises(CallRefusedError):
                await recorder.client(http).send(make_mail(), before_call=refuse_call)
        assert (await recorder.client(http).send(make_mail())).transaction_id == "t-1"
    assert recorder.received.count(b"POST ") == 1


async def test_the_connect_to_a_proxy_does_not_run_the_hook() -> None:
    """A proxy that refuses the CONNECT proves that nothing was sent, and the hook has not run."""
    calls: list[int] = []

    async def count() -> None:
        calls.append(1)

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
                await client.send(make_mail(), before_call=count)
    assert calls == []


@asynccontextmanager
async def plain_text_server() -> AsyncIterator[int]:
    """Serve plain text instead of TLS, and yield the port."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 not what you expected\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_a_failure_before_the_first_byte_proves_that_nothing_was_sent(http: httpx.AsyncClient) -> None:
    """An unknown or invalid host, a closed port and a failed TLS handshake raise Unreachable."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    async with plain_text_server() as no_tls:
        hosts = ["http://no-such-host.invalid", "http://xn--/", f"http://{'a' * 70}.example", "ftp://x.example"]
        for url in [*hosts, f"http://127.0.0.1:{closed}", f"https://127.0.0.1:{no_tls}"]:
            client = EverlyticClient(http, transactional_url=url, tenant_url=url, username="u", api_key="k")
            with pytest.raises(errors.Unreachable):
                await client.send(make_mail())


async def test_a_connection_lost_after_the_first_byte_is_an_unknown_outcome(http: httpx.AsyncClient) -> None:
    """Once a byte was written, a lost connection raises ConnectionLost."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = EverlyticClient(http, transactional_url=url, tenant_url=url, username="u", api_key="k")
        with pytest.raises(errors.ConnectionLost):
            await client.send(make_mail())
