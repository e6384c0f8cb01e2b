"""Each way a call can end: what it then means, and that nothing is ever sent a second time."""

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
from tests.everlytic.mails import a_mail

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
IDS = b'{"transactions": [{"id": "t-1"}]}'


def client_of(http: httpx.AsyncClient, url: str = "https://provider.example") -> EverlyticClient:
    """The product's client on a clock that stands still."""
    return EverlyticClient(http, transactional_url=url, tenant_url=url, username="u", api_key="k", now=lambda: NOW)


def answer(head: str, body: bytes, length: int | None = None) -> bytes:
    """The bytes of an HTTP answer; `length` is what it says of its body."""
    said = len(body) if length is None else length
    return f"HTTP/1.1 {head}\r\ncontent-length: {said}\r\n\r\n".encode() + body


ENDINGS: dict[str, tuple[bytes, type[EverlyticError]]] = {
    "closed without a byte": (b"", errors.ConnectionLost),
    "closed in the status line": (b"HTTP/1.1 20", errors.ConnectionLost),
    "closed in the headers": (b"HTTP/1.1 200 OK\r\ncontent-le", errors.ConnectionLost),
    "closed before the body": (answer("200 OK", b"", len(IDS)), errors.ConnectionLost),
    "closed before the last byte": (answer("200 OK", IDS[:-1], len(IDS)), errors.ConnectionLost),
    "closed between chunks": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n21\r\n" + IDS + b"\r\n",
        errors.ConnectionLost,
    ),
    "an empty body": (answer("200 OK", b""), errors.UnrecognisedAnswer),
    "half of the JSON": (answer("200 OK", IDS[:-1]), errors.UnrecognisedAnswer),
    "the JSON twice": (answer("200 OK", IDS * 2), errors.UnrecognisedAnswer),
    "a body that is not what its encoding says": (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
        errors.UnrecognisedAnswer,
    ),
    "no HTTP": (b"220 mail.example ESMTP\r\n\r\n", errors.ConnectionLost),
    "nothing to say": (b"HTTP/1.1 204 No Content\r\n\r\n", errors.UnrecognisedAnswer),
    "a redirect that repeats the call": (
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n",
        errors.UnrecognisedAnswer,
    ),
    "a redirect to a page": (
        b"HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n",
        errors.UnrecognisedAnswer,
    ),
    "a server error": (answer("500 Internal Server Error", IDS), errors.ProviderBroken),
    "a gateway's error": (answer("502 Bad Gateway", b"<html>"), errors.ProviderBroken),
    "unavailable without a time": (answer("503 Service Unavailable", b""), errors.ProviderBroken),
    "unavailable with a time": (
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
        errors.Unavailable,
    ),
    "too many requests": (answer("429 Too Many Requests", b"{}"), errors.RateLimited),
    "refused credentials": (answer("401 Unauthorized", b"{}"), errors.Unauthorized),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_send_is_one_request_however_it_ends(http: httpx.AsyncClient, ending: str) -> None:
    """Each ending raises its one error, and the server has been sent the mail exactly once."""
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
            await client_of(http, url).send(a_mail())
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
        (httpx.DecodingError(""), errors.UnrecognisedAnswer),
        (httpx.TooManyRedirects(""), errors.UnrecognisedAnswer),
        (OSError("the disk of a proxy"), errors.UnrecognisedAnswer),
        (ValueError("a header that is none"), errors.UnrecognisedAnswer),
    ],
)
async def test_what_the_transport_raises_proves_only_what_it_says(error: Exception, kind: type[EverlyticError]) -> None:
    """Where a transport tells nothing of its steps, only the errors of a missing connection prove an unsent mail."""
    requests = []

    def fail(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        raise error

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as http:
        with pytest.raises(EverlyticError) as caught:
            await client_of(http).send(a_mail())
    assert type(caught.value) is kind
    assert caught.value.outcome is (Outcome.REJECTED if kind is errors.Unreachable else Outcome.UNKNOWN)
    assert caught.value.__cause__ is error
    assert len(requests) == 1


async def test_a_full_pool_proves_that_nothing_was_sent() -> None:
    """A call that gets no connection in time is Unreachable, and the server has seen the other call alone."""
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
            first = asyncio.ensure_future(client_of(http, url).send(a_mail()))
            await connected.wait()
            with pytest.raises(errors.Unreachable):
                await client_of(http, url).send(a_mail())
            done.set()
            with pytest.raises(errors.ConnectionLost):
                await first
    assert connections == [1]


async def _listed(rows: object) -> None:
    assert [row async for row in rows] == []  # type: ignore[attr-defined] # each list is an iterator


CALLS: dict[str, Callable[[EverlyticClient], Awaitable[object]]] = {
    "send": lambda client: client.send(a_mail()),
    "create_webhook": lambda client: client.create_webhook(WebhookRegistration(url="https://r.test/h")),
    "list_webhooks": lambda client: client.list_webhooks(),
    "update_webhook": lambda client: client.update_webhook("1", WebhookRegistration(url="https://r.test/h")),
    "delete_webhook": lambda client: client.delete_webhook("1"),
    "reprocess_failed_webhooks": lambda client: client.reprocess_failed_webhooks(),
    "iter_transactions": lambda client: _listed(client.iter_transactions()),
    "get_transaction": lambda client: client.get_transaction("1"),
    "find_transaction": lambda client: client.find_transaction_by_custom_header("X", "1"),
    "iter_callback_events": lambda client: _listed(client.iter_callback_events()),
    "iter_bulk_emails": lambda client: _listed(client.iter_bulk_emails()),
    "campaign_report": lambda client: client.campaign_report("1"),
}


@pytest.mark.parametrize("call", CALLS)
async def test_every_call_measures_a_date_to_come_back_at(call: str) -> None:
    """A Retry-After that is a date, in an answer without a date of its own, counts from the client's clock."""
    until = format_datetime(NOW + timedelta(seconds=90), usegmt=True)

    def limit(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"retry-after": until})

    async with httpx.AsyncClient(transport=httpx.MockTransport(limit)) as http:
        with pytest.raises(errors.RateLimited) as caught:
            await CALLS[call](client_of(http))
    assert caught.value.retry_after == 90.0


@pytest.mark.parametrize("call", [name for name in CALLS if name != "send"])
@pytest.mark.parametrize("body", [b"", b'{"collection": [', b"[]", b"null", b"{}", b"<html>"])
async def test_every_read_refuses_an_answer_that_is_cut_or_empty(call: str, body: bytes) -> None:
    """A body that is empty, cut short or of another shape is an error, never an answer or an empty list."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, content=body))
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(errors.UnrecognisedAnswer):
            await CALLS[call](client_of(http))
