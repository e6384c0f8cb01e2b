"""Everlytic's two HTTP dialects without any I/O: each response becomes a value or exactly one error.

The v1 service (``/transactional/email/v1``) and the tenant API (``/api/2.0``) differ in shapes, paging and error
bodies. Nothing here opens a connection, waits, retries or reads a clock. The other direction is in ``requests.py``.
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
    ProviderBroken,
    QuotaUsedUp,
    RateLimited,
    Unauthorized,
    Unavailable,
    UnrecognisedAnswer,
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
"""Reasons of a v1 400/422 that prove the mail was refused. Any other 4xx may still have been delivered."""

MAX_DEPTH = 256
"""How many levels a body of the provider may nest. It is far more than an event may, so that one event that nests too
deeply is left out by itself, and the rest of its body is read."""

_QUOTA = re.compile(r"quota|allowance|\bcredits?\b|\b(?:daily|monthly|sending|message)[ _-]?limit", re.IGNORECASE)
"""What the answer to a used up quota says is not public; these words tell it from a refused key and from haste."""

_VALIDATION_STATUSES = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY})

Item = TypeVar("Item", bound=Record)

Complain = Callable[[str], None]
"""Is told of each item of a list that could not be read, or not wholly: a sentence without the provider's values."""


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response as any transport gives it; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)

    @property
    def succeeded(self) -> bool:
        """Whether the status is any 2xx: the two hosts use 200 and 201 without a rule."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


def retry_after_seconds(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds named by Retry-After (a number or an HTTP date), never negative; None when absent or unreadable.

    A date is measured against the response's own Date header, which comes from the same clock, else against ``now``.
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


def _complaint(body: bytes) -> tuple[str | None, str, tuple[Problem, ...]]:
    """Code, message and problems of an error body of either host; empty for what is not such a body."""
    value = _json_object(body) or {}
    error = value.get("error")
    error = error if isinstance(error, dict) else {}
    code = value.get("code", error.get("code"))
    message = value.get("message", error.get("message"))
    listed = error.get("errors")
    problems = tuple(
        Problem(str(one.get("location", "")), str(one.get("reason", "")), str(one.get("message", "")))
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
    )
    return None if code is None else str(code), message[:300] if isinstance(message, str) else "", problems


def raise_for_failure(response: Response, *, sending: bool, now: datetime | None = None) -> None:
    """Raise the one error that a non-2xx answer means; return for 2xx.

    ``sending`` says that a mail may already be out: then a 4xx counts as refused only for recognised reasons.
    """
    if response.succeeded:
        return
    code, message, problems = _complaint(response.body)
    told = " ".join([code or "", message, *(f"{one.reason} {one.message}" for one in problems)])
    kind, sentence = _turned_away(response, told) or _kind(response, problems, sending=sending)
    detail = "; ".join(f"{one.location}: {one.message or one.reason}" for one in problems)
    if said := detail or message:
        sentence = f"{sentence} It says: {said}"
    raise kind(
        sentence,
        status=response.status,
        code=code,
        problems=problems,
        retry_after=retry_after_seconds(response.headers, now),
    )


def _turned_away(response: Response, told: str) -> tuple[type[EverlyticError], str] | None:
    """What an answer means that says nothing of the request but who may call, and when; None for any other."""
    status = response.status
    limits = {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
    if status == HTTPStatus.PAYMENT_REQUIRED or (status in limits and _QUOTA.search(told)):
        return QuotaUsedUp, f"Everlytic says that the account's quota is used up ({status})."
    if status == HTTPStatus.FORBIDDEN and response.body.lstrip().startswith(b"<"):
        return Unavailable, "A server in front of Everlytic turned the request away (403 with a page)."
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Unauthorized, f"Everlytic refused the credentials ({status}); check username and API key."
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited, "Everlytic asks for fewer requests (429); try later."
    if status == HTTPStatus.SERVICE_UNAVAILABLE and "retry-after" in response.headers:
        return Unavailable, "Everlytic is unavailable (503) and names a time to come back."
    return None


def _kind(response: Response, problems: tuple[Problem, ...], *, sending: bool) -> tuple[type[EverlyticError], str]:
    status = response.status
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProviderBroken, f"Everlytic failed with {status}; whether it acted is not known."
    if status >= HTTPStatus.BAD_REQUEST:
        return _refusal(status, problems, sending=sending)
    return UnrecognisedAnswer, f"Everlytic answered {status}, which does not say whether it acted."


def _refusal(status: int, problems: tuple[Problem, ...], *, sending: bool) -> tuple[type[EverlyticError], str]:
    """What a 4xx means that is about the content of a request."""
    if status == HTTPStatus.NOT_FOUND and not sending:
        return NotFound, "Everlytic does not have what was asked for (404)."
    named = bool(problems) and all(one.reason in RECOGNISED_REASONS for one in problems)
    if not sending or (named and status in _VALIDATION_STATUSES):
        return InvalidRequest, f"Everlytic refused the request ({status})."
    return (
        UnrecognisedAnswer,
        f"Everlytic answered {status} without a reason we know; the mail may be out all the same.",
    )


def _unrecognised(response: Response, what: str) -> NoReturn:
    raise UnrecognisedAnswer(f"Everlytic answered {response.status} without {what}.", status=response.status)


def _success(response: Response, *, sending: bool, now: datetime | None) -> dict[str, Any]:
    raise_for_failure(response, sending=sending, now=now)
    value = _json_object(response.body)
    if value is None:
        _unrecognised(response, "a JSON object (truncated, or not Everlytic at all)")
    return value


def decipher_send(response: Response, now: datetime | None = None) -> SendResult:
    """The transaction ids of a v1 send."""
    value = _success(response, sending=True, now=now)
    listed = value.get("transactions")
    ids = [one.get("id") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    texts = tuple(one for one in ids if isinstance(one, str) and one)
    if not texts or len(texts) != len(listed or ()):
        _unrecognised(response, "a transaction id for each recipient")
    return SendResult(transaction_ids=texts)


def _build(build: Callable[[], Item], response: Response) -> Item:
    try:
        return build()
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, one["loc"])) for one in error.errors()) or "its fields"
        # The provider's values are left out on purpose: webhooks carry passwords.
        message = f"Everlytic answered {response.status} with an item whose {fields} cannot be read."
        raise UnrecognisedAnswer(message, status=response.status) from None


def decipher_webhook(response: Response, now: datetime | None = None) -> Webhook:
    """The webhook of a create or update, bare or wrapped in ``data``."""
    value = _success(response, sending=False, now=now)
    inner = value.get("data")
    return _build(lambda: Webhook.model_validate(inner if isinstance(inner, dict) else value), response)


def decipher_webhooks(response: Response, now: datetime | None = None) -> Page[Webhook]:
    """One page of registered webhooks (v1 paging: ``links.next``)."""
    value = _success(response, sending=False, now=now)
    data, links = value.get("data"), value.get("links")
    if not isinstance(data, list):
        _unrecognised(response, "a list of webhooks")
    following = links.get("next") if isinstance(links, dict) else None
    items = [_build(partial(Webhook.model_validate, one), response) for one in data]
    return Page(items=items, next_url=following if isinstance(following, str) and following else None)


def decipher_status(response: Response, now: datetime | None = None) -> bool:
    """The boolean of ``{"status": …}``."""
    status = _success(response, sending=False, now=now).get("status")
    if not isinstance(status, bool):
        _unrecognised(response, "a boolean status")
    return status


def decipher_collection(
    model: type[Item], response: Response, now: datetime | None = None, *, complain: Complain | None = None
) -> Page[Item]:
    """One page of a tenant collection (``collection[].data``; ``rel: next`` in ``links`` until the last).

    An item that cannot be read raises UnrecognisedAnswer. With ``complain`` it is kept with those of its fields that
    can be read, or left out where none of them says what it is, and told; ``raw`` is whole either way.
    """
    value = _success(response, sending=False, now=now)
    entries, links = value.get("collection"), value.get("links")
    if not isinstance(entries, list):
        _unrecognised(response, "a collection")
    if complain is None:
        items = [_item(model, entry, response) for entry in entries]
    else:
        read = (_readable(model, entry, complain) for entry in entries)
        items = [one for one in read if one is not None]
    following = [
        link.get("href")
        for link in (links if isinstance(links, list) else [])
        if isinstance(link, dict) and link.get("rel") == "next"
    ]
    return Page(items=items, next_url=following[0] if following and isinstance(following[0], str) else None)


def _fields(entry: object) -> dict[str, Any] | None:
    inner = entry.get("data", entry) if isinstance(entry, dict) else entry
    if not isinstance(inner, dict):
        return None
    return inner["event"] if isinstance(inner.get("event"), dict) else inner


def _item(model: type[Item], entry: object, response: Response) -> Item:
    fields = _fields(entry)
    if fields is None:
        _unrecognised(response, "items that are objects")
    return _build(lambda: model.model_validate(fields), response)


def _readable(model: type[Item], entry: object, complain: Complain) -> Item | None:
    fields = _fields(entry)
    if fields is None:
        complain("An item that is no object was left out.")
        return None
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        unread = {str(one["loc"][0]) for one in error.errors()}
    names = ", ".join(sorted(unread))
    try:
        item = model.model_validate({name: one for name, one in fields.items() if name not in unread} | {"raw": fields})
    except ValidationError:
        complain(f"An item was left out: {names} cannot be read.")
        return None
    complain(f"An item was kept without what cannot be read: {names}.")
    return item


def decipher_item(model: type[Item], response: Response, now: datetime | None = None) -> Item:
    """The one ``item`` of a tenant answer."""
    return _item(model, _success(response, sending=False, now=now).get("item"), response)


def decipher_transaction(response: Response, now: datetime | None = None) -> Transaction:
    """One read-back transaction."""
    return decipher_item(Transaction, response, now)


def decipher_transactions(
    response: Response, now: datetime | None = None, *, complain: Complain | None = None
) -> Page[Transaction]:
    """One page of read-back transactions."""
    return decipher_collection(Transaction, response, now, complain=complain)


def decipher_callback_events(
    response: Response, now: datetime | None = None, *, complain: Complain | None = None
) -> Page[CallbackEvent]:
    """One page of callback events."""
    return decipher_collection(CallbackEvent, response, now, complain=complain)


def decipher_bulk_emails(
    response: Response, now: datetime | None = None, *, complain: Complain | None = None
) -> Page[BulkEmail]:
    """One page of bulk emails."""
    return decipher_collection(BulkEmail, response, now, complain=complain)


def decipher_report(email_id: str, response: Response, now: datetime | None = None) -> CampaignReport:
    """The overview report of one bulk email."""
    value = _success(response, sending=False, now=now).get("item")
    if not isinstance(value, dict):
        _unrecognised(response, "a report")
    return _build(lambda: CampaignReport.model_validate({**value, "email_id": email_id, "raw": value}), response)
