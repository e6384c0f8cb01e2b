"""The typed client of Everlytic: one method per call, without retries, settings or logging; the caller passes httpx.

It is safe to share between tasks. Every method raises the errors of ``everlytic.errors``. Only ``send`` must not be
retried blindly; its error's ``outcome`` says whether the mail may have been sent.
"""

import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

import httpx

from egress.errors import EgressError
from everlytic import protocol, requests
from everlytic.errors import ConnectionLost, EverlyticError, ListTooLong, TimedOut, Unreachable, UnrecognisedResponse
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
from everlytic.order_tracker import OrderTracker
from everlytic.protocol import ReportUnreadable, Response
from everlytic.requests import Request, RequestBuilder

T = TypeVar("T")

BeforeCall = Callable[[], Awaitable[None]]

MAX_PAGE_SIZE = 100
"""The largest page size of the tenant API."""


@dataclass(frozen=True, slots=True)
class ListLimits:
    """How many pages of one list are read, and for how long; a list may never end, or take long for each page."""

    pages: int = 100
    seconds: float = 120.0


DEFAULT_LIST_LIMITS = ListLimits()


class EverlyticClient:
    """Calls one Everlytic account through ``http``, whose timeouts and connection limits apply.

    ``now`` is the clock for a Retry-After date in a response without a Date header.
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
        list_limits: ListLimits = DEFAULT_LIST_LIMITS,
    ) -> None:
        self._http, self._list_limits = http, list_limits
        self._requests = RequestBuilder(
            transactional_url=transactional_url, tenant_url=tenant_url, username=username, api_key=api_key
        )
        self._clock = now

    def __repr__(self) -> str:
        return f"EverlyticClient({self._requests!r})"

    async def send(self, mail: Mail, *, before_call: BeforeCall | None = None) -> SendResult:
        """Send one mail with the v1 service. Call it once per mail: the service has no idempotency key.

        ``before_call`` is awaited after the connection is made and before the first byte is written. An exception that
        it raises is propagated unchanged, and then nothing was sent.
        """
        request = self._requests.v1("POST", "mail", body=requests.build_mail_body(mail))
        response = await self._exchange(request, before_call)
        return protocol.parse_send(response, self._now())

    async def create_webhook(self, registration: WebhookRegistration) -> Webhook:
        """Register a webhook."""
        body = requests.build_webhook_body(registration)
        response = await self._exchange(self._requests.v1("POST", "webhooks", body=body))
        return protocol.parse_webhook(response, self._now())

    async def list_webhooks(self) -> list[Webhook]:
        """Return all registered webhooks, without their passwords."""
        first = self._requests.v1("GET", "webhooks")
        return [
            webhook async for page in self._iter_pages("v1", first, protocol.parse_webhooks) for webhook in page.items
        ]

    async def update_webhook(self, webhook_id: str, registration: WebhookRegistration) -> Webhook:
        """Replace a webhook's registration."""
        body = requests.build_webhook_body(registration)
        response = await self._exchange(self._requests.v1("PUT", "webhooks", webhook_id, body=body))
        return protocol.parse_webhook(response, self._now())

    async def delete_webhook(self, webhook_id: str) -> bool:
        """Delete a webhook; return False when it did not exist."""
        response = await self._exchange(self._requests.v1("DELETE", "webhooks", webhook_id))
        return protocol.parse_status(response, self._now())

    def iter_transactions(
        self,
        *,
        group_name: str | None = None,
        send_status: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int = MAX_PAGE_SIZE,
        report_unreadable: ReportUnreadable | None = None,
    ) -> AsyncIterator[Transaction]:
        """Return sent mails, newest first, with ``since <= sent_at < until``, and those without a send time.

        Pages shift while mail is being sent, so a transaction may be returned twice, but none is lost. One that cannot
        be parsed raises UnrecognisedResponse, unless ``report_unreadable`` is given (see ``parse_collection``).
        """
        filters = requests.build_filter_parameters(trans_group_name=group_name, send_status=send_status)
        query = {"page": 1, "count": page_size, "order": "send_date", "direction": "desc", **filters}
        first = self._requests.tenant("GET", "trans_mails", query=query)
        parse = partial(protocol.parse_transactions, report_unreadable=report_unreadable)
        return self._iter_between(first, parse, attrgetter("sent_at"), since, until)

    async def get_transaction(self, transaction_id: str) -> Transaction:
        """Return one sent mail; raises NotFound."""
        response = await self._exchange(self._requests.tenant("GET", "trans_mails", transaction_id))
        return protocol.parse_transaction(response, self._now())

    async def find_transaction_by_custom_header(
        self, name: str, value: str, *, since: datetime | None = None
    ) -> Transaction | None:
        """Return the newest sent mail whose custom header ``name`` has ``value``, or None.

        Every transaction is compared here, so that a provider that ignores the filter costs more pages but never gives
        a wrong match. ``since`` limits how far back the search goes.
        """
        filters = requests.build_filter_parameters(custom_headers={name: value})
        query = {"page": 1, "count": MAX_PAGE_SIZE, "order": "send_date", "direction": "desc", **filters}
        first, order = self._requests.tenant("GET", "trans_mails", query=query), OrderTracker(since)
        async for page in self._iter_pages("tenant", first, protocol.parse_transactions):
            for transaction in page.items:
                if transaction.get_header(name) == value:
                    return transaction
            if order.is_past([transaction.sent_at for transaction in page.items]):
                return None
        return None

    def iter_callback_events(
        self,
        *,
        event_type: ProviderEventType | str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int = MAX_PAGE_SIZE,
        report_unreadable: ReportUnreadable | None = None,
    ) -> AsyncIterator[CallbackEvent]:
        """Return events of transactional mail, newest first, with ``since <= occurred_at < until``; as for mails."""
        filters = requests.build_filter_parameters(event_type=None if event_type is None else str(event_type))
        query = {"page": 1, "count": page_size, "order": "event_date", "direction": "desc", **filters}
        first = self._requests.tenant("GET", "trans_callback_events", query=query)
        parse = partial(protocol.parse_callback_events, report_unreadable=report_unreadable)
        return self._iter_between(first, parse, attrgetter("occurred_at"), since, until)

    async def iter_bulk_emails(
        self, *, page_size: int = MAX_PAGE_SIZE, report_unreadable: ReportUnreadable | None = None
    ) -> AsyncIterator[BulkEmail]:
        """Yield all bulk emails of the tenant; ``report_unreadable`` works as for transactions."""
        first = self._requests.tenant("GET", "emails", query={"page": 1, "count": page_size})
        parse = partial(protocol.parse_bulk_emails, report_unreadable=report_unreadable)
        async for page in self._iter_pages("tenant", first, parse):
            for email in page.items:
                yield email

    async def get_campaign_report(self, email_id: str) -> CampaignReport:
        """Return the overview report of one bulk email; raises NotFound."""
        request = self._requests.tenant("GET", "email_reports", email_id, query={"report": "overview"})
        return protocol.parse_report(email_id, await self._exchange(request), self._now())

    def _now(self) -> datetime | None:
        return None if self._clock is None else self._clock()

    async def _iter_between(
        self,
        first: Request,
        parse: Callable[[Response, datetime | None], Page[T]],
        get_time: Callable[[T], datetime | None],
        since: datetime | None,
        until: datetime | None,
    ) -> AsyncIterator[T]:
        """Yield the items of a list in the order of their times, newest first, until they are older than ``since``."""
        order = OrderTracker(since)
        async for page in self._iter_pages("tenant", first, parse):
            for item in page.items:
                if _is_within(get_time(item), since, until):
                    yield item
            if order.is_past([get_time(item) for item in page.items]):
                return

    async def _iter_pages(
        self, host: str, first: Request, parse: Callable[[Response, datetime | None], Page[T]]
    ) -> AsyncIterator[Page[T]]:
        """Yield the pages of a list; raises ListTooLong if it has more pages, or they take longer, than the limits."""
        request, seen, seconds = first, {first.url}, 0.0
        while True:
            started = time.monotonic()
            page = parse(await self._exchange(request), self._now())
            seconds += time.monotonic() - started
            yield page
            if page.next_url is None:
                return
            request = self._requests.follow(host, page.next_url)
            if request.url in seen:
                raise UnrecognisedResponse("Everlytic's next link points to a page that was already read.")
            seen.add(request.url)
            if len(seen) > self._list_limits.pages:
                raise ListTooLong(f"Everlytic's list did not end within {self._list_limits.pages} pages.")
            if seconds > self._list_limits.seconds:
                raise ListTooLong(f"Everlytic's list did not end within {self._list_limits.seconds:g} seconds.")

    async def _exchange(self, request: Request, before_call: BeforeCall | None = None) -> Response:
        trace = _TransportTrace(before_call)
        try:
            http_request = self._http.build_request(
                request.method,
                request.url,
                headers=dict(request.headers),
                content=request.body or None,
                extensions={"trace": trace},
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise _convert_error(error, is_unsent=True) from error
        try:
            response = await self._http.send(http_request, follow_redirects=False)
        except (httpx.HTTPError, OSError, ValueError) as error:
            if error is trace.hook_error:
                raise
            raise _convert_error(error, is_unsent=trace.is_supported and not trace.has_started) from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status_code, headers, response.content)


class _TransportTrace:
    """An httpcore trace hook: awaits ``before_call`` before the first byte, and records that a byte was written."""

    def __init__(self, before_call: BeforeCall | None) -> None:
        self._before_call = before_call
        self.is_supported = self.has_started = False
        self.hook_error: Exception | None = None

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        self.is_supported = True
        # httpcore reports a proxy's CONNECT under the same event name, but it is not the request.
        if not event.endswith("send_request_headers.started") or info["request"].method == b"CONNECT":
            return
        if self._before_call is not None:
            try:
                await self._before_call()
            except Exception as error:
                self.hook_error = error
                raise
        self.has_started = True


def _convert_error(error: Exception, *, is_unsent: bool) -> EverlyticError:
    """Return the error for an exception of the transport; `is_unsent` says that no byte was written."""
    not_connected = (
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
        httpx.LocalProtocolError,
    )
    detail = _describe_cause(error)
    if is_unsent or isinstance(error, not_connected):
        return Unreachable(f"Everlytic could not be reached, so nothing was sent{detail}")
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"Everlytic did not respond in time{detail}")
    if isinstance(error, httpx.TransportError):
        return ConnectionLost(f"The connection to Everlytic broke{detail}")
    return UnrecognisedResponse(f"The response of Everlytic could not be read{detail}")


def _describe_cause(error: BaseException | None) -> str:
    """Return the end of a sentence with what is known to be our own words; others may be those of the server."""
    while error is not None:
        if isinstance(error, EgressError):
            return f": {error}".rstrip(".") + "."
        if isinstance(error, ssl.SSLCertVerificationError):
            return ": its certificate cannot be trusted."
        error = error.__cause__ or error.__context__
    return "."


def _is_within(moment: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    return moment is None or ((since is None or moment >= since) and (until is None or moment < until))
