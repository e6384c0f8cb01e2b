"""The typed client of Everlytic: one method per call, a transport passed in, no retries, no settings, no logging.

It is safe to share between tasks. Every method raises one of ``everlytic.errors``; only ``send`` has an effect that
must not be repeated, and its error's ``outcome`` says whether the mail may be out.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import httpx

from everlytic import protocol, requests
from everlytic.errors import ConnectionLost, EverlyticError, TimedOut, Unreachable, UnrecognisedAnswer
from everlytic.listings import NewestFirst
from everlytic.models import (
    BulkEmail,
    CallbackEvent,
    CampaignReport,
    Mail,
    Page,
    ProviderEventType,
    SendResult,
    Transaction,
    Webhook,
    WebhookRegistration,
)
from everlytic.protocol import Complain, Response
from everlytic.requests import Request, RequestBuilder

T = TypeVar("T")

BeforeCall = Callable[[], Awaitable[None]]

MAX_PAGE_SIZE = 100
"""The largest page the tenant API gives."""


class EverlyticClient:
    """Calls one Everlytic account through ``http`` (whose time-outs and connection limits hold).

    ``now`` is only asked when a response names a date to come back at and carries no date of its own.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        transactional_url: str,
        tenant_url: str,
        username: str,
        api_key: str,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._http = http
        self._requests = RequestBuilder(
            transactional_url=transactional_url, tenant_url=tenant_url, username=username, api_key=api_key
        )
        self._clock = now

    def __repr__(self) -> str:
        return f"EverlyticClient({self._requests!r})"

    async def send(self, mail: Mail, *, before_call: BeforeCall | None = None) -> SendResult:
        """Hand one mail to the v1 service. Call it once per mail: the service has no idempotency key.

        ``before_call`` is awaited when the connection stands and the first byte is about to be written; what it raises
        comes out as it is, and then no byte has left.
        """
        request = self._requests.v1("POST", "mail", body=requests.mail_body(mail))
        response = await self._exchange(request, before_call)
        return protocol.decipher_send(response, self._now())

    async def create_webhook(self, registration: WebhookRegistration) -> Webhook:
        """Register a webhook."""
        body = requests.webhook_body(registration)
        response = await self._exchange(self._requests.v1("POST", "webhooks", body=body))
        return protocol.decipher_webhook(response, self._now())

    async def list_webhooks(self) -> list[Webhook]:
        """All registered webhooks, without their passwords."""
        first = self._requests.v1("GET", "webhooks")
        return [one async for page in self._pages("v1", first, protocol.decipher_webhooks) for one in page.items]

    async def update_webhook(self, webhook_id: str, registration: WebhookRegistration) -> Webhook:
        """Replace a webhook's registration."""
        body = requests.webhook_body(registration)
        response = await self._exchange(self._requests.v1("PUT", "webhooks", webhook_id, body=body))
        return protocol.decipher_webhook(response, self._now())

    async def delete_webhook(self, webhook_id: str) -> bool:
        """Delete a webhook; False when there was nothing to delete."""
        response = await self._exchange(self._requests.v1("DELETE", "webhooks", webhook_id))
        return protocol.decipher_status(response, self._now())

    async def reprocess_failed_webhooks(self) -> bool:
        """Ask for another delivery of what failed in the last seven days; True when that was queued."""
        response = await self._exchange(self._requests.v1("GET", "webhooks", "failed", "reprocess"))
        return protocol.decipher_status(response, self._now())

    async def iter_transactions(
        self,
        *,
        group_name: str | None = None,
        send_status: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int = MAX_PAGE_SIZE,
        complain: Complain | None = None,
    ) -> AsyncIterator[Transaction]:
        """Sent mails, newest first, with ``since <= sent_at < until``; a mail without a send time is always given.

        Pages move while mail is being sent: the same transaction may come twice, none is left out. One that cannot be
        read ends the list with UnrecognisedAnswer; with ``complain`` it does not (see ``decipher_collection``).
        """
        filters = requests.filter_parameters(trans_group_name=group_name, send_status=send_status)
        query = {"page": 1, "count": page_size, "order": "send_date", "direction": "desc", **filters}
        first, order = self._requests.tenant("GET", "trans_mails", query=query), NewestFirst(since)
        decipher = partial(protocol.decipher_transactions, complain=complain)
        async for page in self._pages("tenant", first, decipher):
            for one in page.items:
                if _within(one.sent_at, since, until):
                    yield one
            if order.is_past([one.sent_at for one in page.items]):
                return

    async def get_transaction(self, transaction_id: str) -> Transaction:
        """One sent mail; raises NotFound."""
        response = await self._exchange(self._requests.tenant("GET", "trans_mails", transaction_id))
        return protocol.decipher_transaction(response, self._now())

    async def find_transaction_by_custom_header(
        self, name: str, value: str, *, since: datetime | None = None
    ) -> Transaction | None:
        """The newest sent mail whose custom header ``name`` has ``value``, or None.

        Each answer is checked here: a provider that ignores the filter costs more pages, never a wrong match. Give
        ``since`` to bound how far back it looks.
        """
        filters = requests.filter_parameters(custom_headers={name: value})
        query = {"page": 1, "count": MAX_PAGE_SIZE, "order": "send_date", "direction": "desc", **filters}
        first, order = self._requests.tenant("GET", "trans_mails", query=query), NewestFirst(since)
        async for page in self._pages("tenant", first, protocol.decipher_transactions):
            for one in page.items:
                if one.header(name) == value:
                    return one
            if order.is_past([one.sent_at for one in page.items]):
                return None
        return None

    async def iter_callback_events(
        self,
        *,
        event_type: ProviderEventType | str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int = MAX_PAGE_SIZE,
        complain: Complain | None = None,
    ) -> AsyncIterator[CallbackEvent]:
        """Events of transactional mail, newest first, with ``since <= occurred_at < until``; as for transactions."""
        filters = requests.filter_parameters(event_type=None if event_type is None else str(event_type))
        query = {"page": 1, "count": page_size, "order": "event_date", "direction": "desc", **filters}
        first, order = self._requests.tenant("GET", "trans_callback_events", query=query), NewestFirst(since)
        decipher = partial(protocol.decipher_callback_events, complain=complain)
        async for page in self._pages("tenant", first, decipher):
            for one in page.items:
                if _within(one.occurred_at, since, until):
                    yield one
            if order.is_past([one.occurred_at for one in page.items]):
                return

    async def iter_bulk_emails(
        self, *, page_size: int = MAX_PAGE_SIZE, complain: Complain | None = None
    ) -> AsyncIterator[BulkEmail]:
        """All bulk emails of the tenant; ``complain`` as for transactions."""
        first = self._requests.tenant("GET", "emails", query={"page": 1, "count": page_size})
        decipher = partial(protocol.decipher_bulk_emails, complain=complain)
        async for page in self._pages("tenant", first, decipher):
            for one in page.items:
                yield one

    async def campaign_report(self, email_id: str) -> CampaignReport:
        """The overview report of one bulk email; raises NotFound."""
        request = self._requests.tenant("GET", "email_reports", email_id, query={"report": "overview"})
        return protocol.decipher_report(email_id, await self._exchange(request), self._now())

    def _now(self) -> datetime | None:
        return None if self._clock is None else self._clock()

    async def _pages(
        self, host: str, first: Request, decipher: Callable[[Response, datetime | None], Page[T]]
    ) -> AsyncIterator[Page[T]]:
        request, seen = first, {first.url}
        while True:
            page = decipher(await self._exchange(request), self._now())
            yield page
            if page.next_url is None:
                return
            request = self._requests.follow(host, page.next_url)
            if request.url in seen:
                raise UnrecognisedAnswer("Everlytic's next link leads back to a page already read.")
            seen.add(request.url)

    async def _exchange(self, request: Request, before_call: BeforeCall | None = None) -> Response:
        watch = _Watch(before_call)
        try:
            call = self._http.build_request(
                request.method,
                request.url,
                headers=dict(request.headers),
                content=request.body or None,
                extensions={"trace": watch},
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise _failure(error, is_unsent=True) from error
        try:
            answer = await self._http.send(call, follow_redirects=False)
        except (httpx.HTTPError, OSError, ValueError) as error:
            if error is watch.objection:
                raise
            raise _failure(error, is_unsent=watch.is_told and not watch.has_begun) from error
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, headers, answer.content)


class _Watch:
    """Told by the transport of each thing it does: calls ``before_call`` in time, and knows whether anything left."""

    def __init__(self, before_call: BeforeCall | None) -> None:
        self._before_call = before_call
        self.is_told = self.has_begun = False
        self.objection: Exception | None = None

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        self.is_told = True
        # A proxy's CONNECT is not the request; httpcore tells of it under the same name.
        if not event.endswith("send_request_headers.started") or info["request"].method == b"CONNECT":
            return
        if self._before_call is not None:
            try:
                await self._before_call()
            except Exception as error:
                self.objection = error
                raise
        self.has_begun = True


def _failure(error: Exception, *, is_unsent: bool) -> EverlyticError:
    """What an exception of the transport means: before the first byte, that surely nothing was sent."""
    refused = (
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
        httpx.LocalProtocolError,
    )
    if is_unsent or isinstance(error, refused):
        return Unreachable(f"Everlytic cannot be reached, so nothing was sent: {_name(error)}.")
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"Everlytic gave no answer in time: {_name(error)}.")
    if isinstance(error, httpx.TransportError):
        return ConnectionLost(f"The connection to Everlytic broke: {_name(error)}.")
    return UnrecognisedAnswer(f"Everlytic's answer cannot be read: {_name(error)}.")


def _name(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip().rstrip(".")


def _within(moment: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    return moment is None or ((since is None or moment >= since) and (until is None or moment < until))
