"""What Everlytic pushes to us, read into one kind of event: standard and legacy payloads, JSON and form-encoded.

The key of an event is the same whether it was pushed or polled (``from_callback_event``). It is a digest of what the
event says, not of the provider's event id, because nothing promises that both feeds share ids: type, the mail (our
message id where custom headers or the payload carry it, else the transaction id), recipient, whole second, link.
An event without a time is keyed by its event id, and one without either by its own bytes. So two identical events
within one second are one event. Who finds out which mail is meant has the key that our message id gives (`about`):
one feed may carry it and the other not.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from everlytic.errors import MalformedDelivery
from everlytic.models import MESSAGE_HEADER, CallbackEvent, ProviderEventType, first_header, header_map, utc_time
from everlytic.webhook_bodies import read_payloads

_TYPES: Mapping[str, ProviderEventType] = {
    **{str(one): one for one in ProviderEventType},
    "opened": ProviderEventType.OPEN,
    "clicked": ProviderEventType.CLICK,
    "bounced": ProviderEventType.BOUNCE,
    "unsubscribed": ProviderEventType.UNSUBSCRIBE,
    "resubscribed": ProviderEventType.RESUBSCRIBE,
}

_STANDARD_FIELDS = frozenset({"transaction", "recipient", "custom_headers", "id", "timestamp", "type"})
_LEGACY_FIELDS = frozenset(
    {"event_id", "event_date", "event_type", "email_to", "group_name", "custom_headers", "trans_id", "message_id"}
)


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One thing that happened to one mail.

    ``type`` is a ProviderEventType, or the provider's own word where it is not one of the eight. ``data`` holds
    every other field of the record (link_url, bounce_type, bounce_reason, user_agent, ip, group id … as given).
    """

    key: str
    type: ProviderEventType | str
    occurred_at: datetime
    transaction_id: str | None
    message_id: str | None
    recipient: str | None
    group_name: str | None
    event_id: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    custom_headers: dict[str, list[str]] = field(default_factory=dict)
    is_dated: bool = True
    """Whether the provider said when; else ``occurred_at`` is when it was received."""

    def about(self, message_id: str) -> "ProviderEvent":
        """The event as it is when the provider names the mail by our ``message_id``."""
        if self.message_id == message_id:
            return self
        named = replace(self, message_id=message_id)
        key = _digest(_sentence(named, message_id)) if self.is_dated else self.key
        return replace(named, key=key)


def parse_delivery(body: bytes, content_type: str, received_at: datetime) -> list[ProviderEvent]:
    """The events of one pushed body, in its order; ``received_at`` (aware) stands in where an event has no time.

    Raises MalformedDelivery for a body that cannot be read or holds no event. Unknown types and fields are kept.
    """
    events: list[ProviderEvent] = []
    for payload in read_payloads(body, content_type):
        legacy = payload.get("event", payload if "event_type" in payload else None)
        records = legacy if isinstance(legacy, list) else [legacy]
        events.extend(_legacy_event(one, received_at) for one in records if isinstance(one, dict))
        if legacy is None:
            events.extend(_standard_events(payload, received_at))
    if not events:
        raise MalformedDelivery("The webhook body holds no event.")
    return events


def from_callback_event(event: CallbackEvent) -> ProviderEvent:
    """The same event as the webhook would have brought, from the polled list; needs its ``occurred_at`` or its id."""
    fallback = event.occurred_at or utc_time("1970-01-01")
    assert isinstance(fallback, datetime)
    return _legacy_event(event.raw, fallback)


def read_record(record: object, received_at: datetime) -> ProviderEvent:
    """The event of one item of the polled list; ``received_at`` (aware) stands in where it has no time.

    Raises MalformedDelivery for what is no object, or does not say what happened.
    """
    if not isinstance(record, dict) or not record.get("event_type"):
        raise MalformedDelivery("The polled record is no object with an event_type.")
    return _legacy_event(record, received_at)


def matches_basic(authorization_header: str | None, username: str, password: str) -> bool:
    """Whether an Authorization header carries exactly these Basic credentials, compared in constant time."""
    scheme, _, encoded = (authorization_header or "").partition(" ")
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        given = b""
    same = hmac.compare_digest(
        hashlib.sha256(given).digest(), hashlib.sha256(f"{username}:{password}".encode()).digest()
    )
    return same and scheme.lower() == "basic"


def _standard_events(payload: dict[str, Any], received_at: datetime) -> list[ProviderEvent]:
    records = payload.get("data")
    records = records if isinstance(records, list) else [records]
    events = []
    for number, record in enumerate(one for one in records if isinstance(one, dict)):
        transaction = _object(record.get("transaction"))
        recipient = record.get("recipient")
        group = transaction.get("group", record.get("group"))
        event_id = _text(record.get("id")) or (_text(payload.get("id")) if number == 0 else None)
        data = {name: value for name, value in record.items() if name not in _STANDARD_FIELDS}
        events.append(
            _event(
                kind=record.get("type") or payload.get("type"),
                moment=record.get("timestamp") or payload.get("timestamp"),
                received_at=received_at,
                event_id=event_id,
                transaction_id=_text(transaction.get("id")),
                message_id=_text(transaction.get("message_id")),
                recipient=_text(recipient.get("email") if isinstance(recipient, dict) else recipient),
                group_name=_text(group.get("name") if isinstance(group, dict) else group),
                headers=record.get("custom_headers") or transaction.get("custom_headers"),
                data=data,
            )
        )
    return events


def _legacy_event(record: dict[str, Any], received_at: datetime) -> ProviderEvent:
    return _event(
        kind=record.get("event_type"),
        moment=record.get("event_date"),
        received_at=received_at,
        event_id=_text(record.get("event_id")),
        transaction_id=_text(record.get("trans_id")),
        message_id=_text(record.get("message_id")),
        recipient=_text(record.get("email_to")),
        group_name=_text(record.get("group_name")),
        headers=record.get("custom_headers"),
        data={name: value for name, value in record.items() if name not in _LEGACY_FIELDS},
    )


def _event(
    *,
    kind: object,
    moment: object,
    received_at: datetime,
    event_id: str | None,
    transaction_id: str | None,
    message_id: str | None,
    recipient: str | None,
    group_name: str | None,
    headers: object,
    data: dict[str, Any],
) -> ProviderEvent:
    custom = header_map(headers)
    custom_headers = custom if isinstance(custom, dict) else {}
    occurred_at = _moment(moment)
    event = ProviderEvent(
        key="",
        type=_type(kind),
        occurred_at=occurred_at or received_at,
        transaction_id=transaction_id,
        message_id=first_header(custom_headers, MESSAGE_HEADER) or message_id,
        recipient=recipient,
        group_name=group_name,
        event_id=event_id,
        data=data,
        custom_headers=custom_headers,
        is_dated=occurred_at is not None,
    )
    mail = event.message_id or transaction_id
    if occurred_at is not None and mail is not None:
        return replace(event, key=_digest(_sentence(event, mail)))
    if event_id is not None:
        return replace(event, key=_digest(["id", event_id]), is_dated=False)
    content = ["content", str(event.type), str(mail), str(recipient), str(moment), json.dumps(data, sort_keys=True)]
    return replace(event, key=_digest(content), is_dated=False)


def _sentence(event: ProviderEvent, mail: str) -> list[str]:
    """What a dated event says of a mail."""
    link = _text(event.data.get("link_url") or event.data.get("url") or event.data.get("link")) or ""
    second = str(int(event.occurred_at.timestamp()))
    return ["event", str(event.type), mail, (event.recipient or "").lower(), second, link]


def _digest(basis: list[str]) -> str:
    return hashlib.sha256(json.dumps(basis).encode()).hexdigest()[:40]


def _type(kind: object) -> ProviderEventType | str:
    word = str(kind if kind is not None else "").strip().lower()
    return _TYPES.get(word, word)


def _moment(value: object) -> datetime | None:
    try:
        moment = utc_time(value)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if isinstance(moment, datetime) else None


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
