"""Tests the error of each way in which a call can fail, and that no call is repeated."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from everlytic import errors
from everlytic.client import EverlyticClient
from everlytic.errors import EverlyticError, Outcome
from everlytic.models import WebhookRegistration
from tests.everlytic.mails import make_mail

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
IDS = b'{"transactions": [{"id": "t-1"}]}'


def client_of(http: httpx.AsyncClient, url: str = "https://provider.example") -> EverlyticClient:
    """Return a client with a fixed clock."""
    return EverlyticClient(http, transactional_url=url, tenant_url=url, username="u", api_key="k", now=lambda: NOW)


def http_response(status: str, body: bytes, length: int | None = None) -> bytes:
    """Return the bytes of an HTTP response; `length` replaces its content length."""
    declared = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\ncontent-length: {declared}\r\n\r\n".encode() + body


ENDINGS: dict[str, tuple[bytes, type[EverlyticError]]] = {
    "closed without a byte": (b"", errors.ConnectionLost),
    "closed in the status line": (b"HTTP/1.1 20", errors.ConnectionLost),
    "closed in the headers": (b"HTTP/1.1 200 OK\r\ncontent-le", errors.ConnectionLost),
    "closed before the body": (http_response("200 OK", b"", len(IDS)), errors.ConnectionLost),
    "closed before the last byte": (http_response("200 OK", IDS[:-1], len(IDS)), errors.ConnectionLost),
    "closed between chunks": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n21\r\n" + IDS + b"\r\n",
        errors.ConnectionLost,
    ),
    "an empty body": (http_response("200 OK", b""), errors.UnrecognisedResponse),
    "half of the JSON": (http_response("200 OK", IDS[:-1]), errors.UnrecognisedResponse),
    "the JSON object twice": (http_response("200 OK", IDS * 2), errors.UnrecognisedResponse),
    "a body with the wrong encoding": (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
        errors.UnrecognisedResponse,
    ),
    "not HTTP": (b"220 mail.example ESMTP\r\n\r\n", errors.ConnectionLost),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", errors.UnrecognisedResponse),
    "a redirect that keeps the method": (
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n",
        errors.UnrecognisedResponse,
    ),
    "a redirect to a page": (
        b"HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n",
        errors.UnrecognisedResponse,
    ),
    "a server error": (http_response("500 Internal Server Error", IDS), errors.ServerError),
    "a gateway error": (http_response("502 Bad Gateway", b"<html>"), errors.ServerError),
    "unavailable without Retry-After": (http_response("503 Service Unavailable", b""), errors.ServerError),
    "unavailable with Retry-After": (
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
        errors.Unavailable,
    ),
    "too many requests": (http_response("429 Too Many Requests", b"{}"), errors.RateLimited),
    "refused credentials": (http_response("401 Unauthorized", b"{}"), errors.Unauthorized),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_send_is_one_request_however_it_ends(http: httpx.AsyncClient, ending: str) -> None:
    """Each ending raises its error, and the server receives the mail exactly once."""
    content, kind = ENDINGS[ending]
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                requests.append(head + await reader.readexactly(length))
                writer.write(content)
                await writer.drain()
                writer.close()
        except asyncio.IncompleteReadError:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(EverlyticError) as caught:
            await client_of(http, url).send(make_mail())
    assert type(caught.value) is kind
    assert len(requests) == 1
    assert requests[0].startswith(b"POST /mail ")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError(""), errors.Unreachable),
        (httpx.ConnectTimeout(""), errors.Unreachable),
        (httpx.PoolTimeout(""), errors.Unreachable),
        (httpx.ProxyError(""), errors.Unreachable),
        (httpx.UnsupportedProtocol(""), errors.Unreachable),
        (httpx.LocalProtocolError(""), errors.Unreachable),
        (httpx.ReadTimeout(""), errors.TimedOut),
        (httpx.WriteTimeout(""), errors.TimedOut),
        (httpx.ReadError(""), errors.ConnectionLost),
        (httpx.WriteError(""), errors.ConnectionLost),
        (httpx.CloseError(""), errors.ConnectionLost),
        (httpx.RemoteProtocolError(""), errors.ConnectionLost),
        (httpx.DecodingError(""), errors.UnrecognisedResponse),
        (httpx.TooManyRedirects(""), errors.UnrecognisedResponse),
        (OSError("disk full"), errors.UnrecognisedResponse),
        (ValueError("invalid header"), errors.UnrecognisedResponse),
    ],
)
async def test_only_connection_errors_prove_that_nothing_was_sent(error: Exception, kind: type[EverlyticError]) -> None:
    """With a transport without trace events, only errors of making a connection prove that nothing was sent."""
    requests = []

    def fail(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        raise error

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as http:
        with pytest.raises(EverlyticError) as caught:
            await client_of(http).send(make_mail())
    assert type(caught.value) is kind
    assert caught.value.outcome is (Outcome.REJECTED if kind is errors.Unreachable else Outcome.UNKNOWN)
    assert caught.value.__cause__ is error
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            httpx.ConnectError("no route to host."),
            "Everlytic could not be reached, so nothing was sent.",
        ),
        (httpx.ConnectTimeout(""), "Everlytic could not be reached, so nothing was sent."),
        (httpx.ReadTimeout(""), "Everlytic did not respond in time."),
        (httpx.ReadError("reset"), "The connection to Everlytic broke."),
        (ValueError("invalid header"), "The response of Everlytic could not be read."),
    ],
)
async def test_the_sentence_has_no_words_of_the_transport(error: Exception, sentence: str) -> None:
    """The error's sentence says what happened, without the transport's message, which may quote the server."""

    def fail(_request: httpx.Request) -> httpx.Response:
        raise error

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as http:
        with pytest.raises(EverlyticError) as caught:
            await client_of(http).send(make_mail())
    assert str(caught.value) == sentence


async def test_a_full_pool_proves_that_nothing_was_sent() -> None:
    """A call that gets no connection from the pool in time raises Unreachable and does not reach the server."""
    connections: list[int] = []
    connected, done = asyncio.Event(), asyncio.Event()

    async def keep_waiting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        connected.set()
        await done.wait()
        writer.close()

    async with await asyncio.start_server(keep_waiting, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        limits, timeout = httpx.Limits(max_connections=1), httpx.Timeout(10, pool=0.01)
        async with httpx.AsyncClient(limits=limits, timeout=timeout) as http:
            first = asyncio.ensure_future(client_of(http, url).send(make_mail()))
            await connected.wait()
            with pytest.raises(errors.Unreachable):
                await client_of(http, url).send(make_mail())
            done.set()
            with pytest.raises(errors.ConnectionLost):
                await first
    assert connections == [1]


async def _read_empty_list(rows: object) -> None:
    assert [row async for row in rows] == []  # type: ignore[attr-defined] # each list is an iterator


CALLS: dict[str, Callable[[EverlyticClient], Awaitable[object]]] = {
    "send": lambda client: client.send(make_mail()),
    "create_webhook": lambda client: client.create_webhook(WebhookRegistration(url="https://r.test/h")),
    "list_webhooks": lambda client: client.list_webhooks(),
    "update_webhook": lambda client: client.update_webhook("1", WebhookRegistration(url="https://r.test/h")),
    "delete_webhook": lambda client: client.delete_webhook("1"),
    "iter_transactions": lambda client: _read_empty_list(client.iter_transactions()),
    "get_transaction": lambda client: client.get_transaction("1"),
    "find_transaction": lambda client: client.find_transaction_by_custom_header("X", "1"),
    "iter_callback_events": lambda client: _read_empty_list(client.iter_callback_events()),
    "iter_bulk_emails": lambda client: _read_empty_list(client.iter_bulk_emails()),
    "campaign_report": lambda client: client.get_campaign_report("1"),
}


@pytest.mark.parametrize("call", CALLS)
async def test_every_call_uses_the_clock_for_a_retry_after_date(call: str) -> None:
    """A Retry-After date in a response without a Date header is relative to the client's clock."""
    until = format_datetime(NOW + timedelta(seconds=90), usegmt=True)

    def limit(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"retry-after": until})

    async with httpx.AsyncClient(transport=httpx.MockTransport(limit)) as http:
        with pytest.raises(errors.RateLimited) as caught:
            await CALLS[call](client_of(http))
    assert caught.value.retry_after == 90.0


@pytest.mark.parametrize("call", [name for name in CALLS if name != "send"])
@pytest.mark.parametrize("body", [b"", b'{"collection": [', b"[]", b"null", b"{}", b"<html>"])
async def test_every_read_refuses_a_truncated_or_empty_body(call: str, body: bytes) -> None:
    """A body that is empty, truncated or of another shape is an error and never an empty list."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, content=body))
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(errors.UnrecognisedResponse):
            await CALLS[call](client_of(http))
