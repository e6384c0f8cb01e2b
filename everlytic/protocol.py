"""Parses the responses of Everlytic's two HTTP APIs, without I/O: each becomes a value or exactly one error.

The v1 service (``/transactional/email/v1``) and the tenant API (``/api/2.0``) differ in shapes, paging and error
bodies. ``requests.py`` builds the requests.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError

from domain.bounded_json import parse_json
from everlytic.errors import (
    EverlyticError,
    InvalidRequest,
    NotFound,
    Problem,
    QuotaExceeded,
    RateLimited,
    ServerError,
    Unauthorized,
    Unavailable,
    UnrecognisedResponse,
)
from everlytic.models import (
    BulkEmail,
    CallbackEvent,
    CampaignReport,
    Page,
    Record,
    SendResult,
    Transaction,
    Webhook,
)

RECOGNISED_REASONS = frozenset({"required", "invalid"})
"""Reasons of a v1 400, 404 or 422 that prove that the mail was refused. After any other 4xx it may be delivered."""

SENT_FIELDS = (
    *(f"headers.{name}" for name in ("subject", "from", "to", "cc", "bcc", "reply_to", "message_id", "custom_headers")),
    *(f"body.{name}" for name in ("html", "text", "personalisation_fields")),
    *(f"options.{name}" for name in ("group_name", "template_id", "track_opens", "track_links")),
    "attachments",
)
"""The fields of a mail whose names an error may show."""

MAX_DEPTH = 256
"""How many levels a body of the provider may nest. It is far more than the limit for one event, so that an event that
nests too deeply is skipped alone, and the rest of its body is parsed."""

_QUOTA = re.compile(r"quota|allowance|\bcredits?\b|\b(?:daily|monthly|sending|message)[ _-]?limit", re.IGNORECASE)
"""The response to a used up quota is not documented. These words distinguish it from a refused key and a rate limit."""

_VALIDATION_STATUSES = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY})

Item = TypeVar("Item", bound=Record)

ReportUnreadable = Callable[[str], None]
"""Called for each list item that cannot be parsed completely, with a sentence without the provider's values."""


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx; the two hosts use 200 and 201 inconsistently."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


def parse_retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds of Retry-After (a number or an HTTP date), never negative; None when absent or invalid.

    A date is relative to the response's Date header, which is from the same clock, or else to ``now``.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
        return seconds if math.isfinite(seconds) else None
    until, since = _http_date(text), _http_date(headers.get("date", "")) or now
    if until is None or since is None:
        return None
    return max(0.0, (until - since).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = parse_json(body, max_depth=MAX_DEPTH)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _parse_error_body(body: bytes) -> tuple[str | None, str, tuple[Problem, ...]]:
    """Return code, message and problems of either host's error body; empty values for any other body."""
    value = _json_object(body) or {}
    error = value.get("error")
    error = error if isinstance(error, dict) else {}
    code = value.get("code", error.get("code"))
    message = value.get("message", error.get("message"))
    listed = error.get("errors")
    problems = tuple(
        Problem(str(item.get("location", "")), str(item.get("reason", "")), str(item.get("message", "")))
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict)
    )
    return None if code is None else str(code), message[:300] if isinstance(message, str) else "", problems


def raise_for_status(response: Response, *, sending: bool, now: datetime | None = None) -> None:
    """Raise the error that a non-2xx response means; return for 2xx.

    ``sending`` says that the request was a send: then a 4xx counts as refused only with recognised reasons.
    """
    if response.is_success:
        return
    code, message, problems = _parse_error_body(response.body)
    error_text = " ".join([code or "", message, *(f"{problem.reason} {problem.message}" for problem in problems)])
    error_type, sentence = _find_access_error(response, error_text) or _find_request_error(
        response, problems, sending=sending
    )
    fields = ", ".join(sorted({field for problem in problems if (field := _find_sent_field(problem.location))}))
    # Nothing else of the answer is shown: the host may be any server, and its answer any page.
    detail = f" It concerns {fields}." if fields else ""
    sentence = f"{sentence}{detail} Its answer has {len(response.body)} bytes."
    raise error_type(
        sentence,
        status=response.status,
        code=code,
        problems=problems,
        retry_after=parse_retry_after(response.headers, now),
    )


def _find_sent_field(location: str) -> str | None:
    """Return the field of our request that a location names, in our own spelling."""
    return next(
        (field for field in SENT_FIELDS if location == field or location.startswith((f"{field}.", f"{field}["))), None
    )


def _find_access_error(response: Response, error_text: str) -> tuple[type[EverlyticError], str] | None:
    """Return the error for a response about credentials, quotas, rates or availability; None for any other."""
    status = response.status
    limits = {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
    if status == HTTPStatus.PAYMENT_REQUIRED or (status in limits and _QUOTA.search(error_text)):
        return QuotaExceeded, f"The quota of the Everlytic account is used up ({status})."
    if status == HTTPStatus.FORBIDDEN and response.body.lstrip().startswith(b"<"):
        return Unavailable, "A firewall in front of Everlytic blocked the request (403 with an HTML page)."
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Unauthorized, f"Everlytic refused the credentials ({status}); check the username and the API key."
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited, "Everlytic asks for fewer requests (429); retry later."
    if status == HTTPStatus.SERVICE_UNAVAILABLE and "retry-after" in response.headers:
        return Unavailable, "Everlytic is unavailable (503); retry at the time that it names."
    return None


def _find_request_error(
    response: Response, problems: tuple[Problem, ...], *, sending: bool
) -> tuple[type[EverlyticError], str]:
    status = response.status
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerError, f"Everlytic failed with {status}; the request may have taken effect."
    if status >= HTTPStatus.BAD_REQUEST:
        return _find_refusal(status, problems, sending=sending)
    return UnrecognisedResponse, f"Everlytic answered {status}; the request may have taken effect."


def _find_refusal(status: int, problems: tuple[Problem, ...], *, sending: bool) -> tuple[type[EverlyticError], str]:
    """Return the error for a 4xx about the content of a request."""
    if status == HTTPStatus.NOT_FOUND and not sending:
        return NotFound, "Everlytic does not have the requested object (404)."
    is_recognised = bool(problems) and all(problem.reason in RECOGNISED_REASONS for problem in problems)
    if not sending or (is_recognised and status in _VALIDATION_STATUSES):
        return InvalidRequest, f"Everlytic refused the request ({status})."
    return (
        UnrecognisedResponse,
        f"Everlytic answered {status} without a known reason; the mail may have been sent.",
    )


def _raise_unrecognised(response: Response, missing: str) -> NoReturn:
    raise UnrecognisedResponse(f"Everlytic answered {response.status} without {missing}.", status=response.status)


def _parse_success(response: Response, *, sending: bool, now: datetime | None) -> dict[str, Any]:
    raise_for_status(response, sending=sending, now=now)
    value = _json_object(response.body)
    if value is None:
        _raise_unrecognised(response, "a JSON object; the response was truncated or came from another server")
    return value


def parse_send(response: Response, now: datetime | None = None) -> SendResult:
    """Parse the transaction ids of a v1 send."""
    value = _parse_success(response, sending=True, now=now)
    listed = value.get("transactions")
    values = [item.get("id") for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    ids = tuple(transaction_id for transaction_id in values if isinstance(transaction_id, str) and transaction_id)
    if not ids or len(ids) != len(listed or ()):
        _raise_unrecognised(response, "a transaction id for each recipient")
    return SendResult(transaction_ids=ids)


def _validate(build: Callable[[], Item], response: Response) -> Item:
    try:
        return build()
    except ValidationError as error:
        # Further parts of a location may be keys that the provider chose.
        fields = (
            ", ".join(sorted({str(problem["loc"][0]) for problem in error.errors() if problem["loc"]})) or "its fields"
        )
        # The message has no values of the provider, because webhooks contain passwords.
        message = f"Everlytic answered {response.status} with an item that cannot be parsed: {fields}."
        raise UnrecognisedResponse(message, status=response.status) from None


def parse_webhook(response: Response, now: datetime | None = None) -> Webhook:
    """Parse the webhook of a create or update response, bare or inside ``data``."""
    value = _parse_success(response, sending=False, now=now)
    inner = value.get("data")
    return _validate(lambda: Webhook.model_validate(inner if isinstance(inner, dict) else value), response)


def parse_webhooks(response: Response, now: datetime | None = None) -> Page[Webhook]:
    """Parse one page of registered webhooks (v1 paging: ``links.next``)."""
    value = _parse_success(response, sending=False, now=now)
    data, links = value.get("data"), value.get("links")
    if not isinstance(data, list):
        _raise_unrecognised(response, "a list of webhooks")
    following = links.get("next") if isinstance(links, dict) else None
    items = [_validate(partial(Webhook.model_validate, item), response) for item in data]
    return Page(items=items, next_url=following if isinstance(following, str) and following else None)


def parse_status(response: Response, now: datetime | None = None) -> bool:
    """Parse the boolean of ``{"status": …}``."""
    status = _parse_success(response, sending=False, now=now).get("status")
    if not isinstance(status, bool):
        _raise_unrecognised(response, "a boolean status")
    return status


def parse_collection(
    model: type[Item],
    response: Response,
    now: datetime | None = None,
    *,
    report_unreadable: ReportUnreadable | None = None,
) -> Page[Item]:
    """Parse one page of a tenant collection (``collection[].data``; ``links`` has ``rel: next`` except on the last).

    An item that cannot be parsed raises UnrecognisedResponse. With ``report_unreadable`` it is reported and kept with
    its other fields, or skipped when a required field cannot be parsed; ``raw`` is complete in any case.
    """
    value = _parse_success(response, sending=False, now=now)
    entries, links = value.get("collection"), value.get("links")
    if not isinstance(entries, list):
        _raise_unrecognised(response, "a collection")
    if report_unreadable is None:
        items = [_parse_entry(model, entry, response) for entry in entries]
    else:
        parsed = (_parse_entry_leniently(model, entry, report_unreadable) for entry in entries)
        items = [item for item in parsed if item is not None]
    following = [
        link.get("href")
        for link in (links if isinstance(links, list) else [])
        if isinstance(link, dict) and link.get("rel") == "next"
    ]
    return Page(items=items, next_url=following[0] if following and isinstance(following[0], str) else None)


def _extract_fields(entry: object) -> dict[str, Any] | None:
    inner = entry.get("data", entry) if isinstance(entry, dict) else entry
    if not isinstance(inner, dict):
        return None
    return inner["event"] if isinstance(inner.get("event"), dict) else inner


def _parse_entry(model: type[Item], entry: object, response: Response) -> Item:
    fields = _extract_fields(entry)
    if fields is None:
        _raise_unrecognised(response, "items that are objects")
    return _validate(lambda: model.model_validate(fields), response)


def _parse_entry_leniently(model: type[Item], entry: object, report_unreadable: ReportUnreadable) -> Item | None:
    fields = _extract_fields(entry)
    if fields is None:
        report_unreadable("Skipped an item that is not an object.")
        return None
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        unreadable = {str(problem["loc"][0]) for problem in error.errors()}
    names = ", ".join(sorted(unreadable))
    readable = {name: value for name, value in fields.items() if name not in unreadable}
    try:
        item = model.model_validate(readable | {"raw": fields})
    except ValidationError:
        report_unreadable(f"Skipped an item whose fields cannot be parsed: {names}.")
        return None
    report_unreadable(f"Kept an item without the fields that cannot be parsed: {names}.")
    return item


def parse_item(model: type[Item], response: Response, now: datetime | None = None) -> Item:
    """Parse the ``item`` of a tenant response."""
    return _parse_entry(model, _parse_success(response, sending=False, now=now).get("item"), response)


def parse_transaction(response: Response, now: datetime | None = None) -> Transaction:
    """Parse one transaction."""
    return parse_item(Transaction, response, now)


def parse_transactions(
    response: Response, now: datetime | None = None, *, report_unreadable: ReportUnreadable | None = None
) -> Page[Transaction]:
    """Parse one page of transactions."""
    return parse_collection(Transaction, response, now, report_unreadable=report_unreadable)


def parse_callback_events(
    response: Response, now: datetime | None = None, *, report_unreadable: ReportUnreadable | None = None
) -> Page[CallbackEvent]:
    """Parse one page of callback events."""
    return parse_collection(CallbackEvent, response, now, report_unreadable=report_unreadable)


def parse_bulk_emails(
    response: Response, now: datetime | None = None, *, report_unreadable: ReportUnreadable | None = None
) -> Page[BulkEmail]:
    """Parse one page of bulk emails."""
    return parse_collection(BulkEmail, response, now, report_unreadable=report_unreadable)


def parse_report(email_id: str, response: Response, now: datetime | None = None) -> CampaignReport:
    """Parse the overview report of one bulk email."""
    value = _parse_success(response, sending=False, now=now).get("item")
    if not isinstance(value, dict):
        _raise_unrecognised(response, "a report")
    return _validate(lambda: CampaignReport.model_validate({**value, "email_id": email_id, "raw": value}), response)
