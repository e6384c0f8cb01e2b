"""Parses Everlytic's events from webhooks and from the polled list into one type, with a key that both sources share.

The key is a digest of the event's content, because the two sources may use different event ids. It includes the type,
the mail (our message id if the custom headers or the payload have it, else the transaction id), the whole second and
the link. The recipient is left out: each mail has one, which the sources spell in different ways. An event without a
time is keyed by its event id, and an event without both by all its content. So two identical events within one second
are one event. A source may lack our message id: a caller that
knows the mail gets the common key from ``with_message_id``.
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
from everlytic.models import MESSAGE_HEADER, CallbackEvent, ProviderEventType, find_header, parse_headers, parse_time
from everlytic.webhook_bodies import parse_payloads

_TYPES: Mapping[str, ProviderEventType] = {
    **{str(event_type): event_type for event_type in ProviderEventType},
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
    """One event of one mail.

    ``type`` is a ProviderEventType, or the provider's own name for an unknown type. ``data`` has all other fields of
    the record, unchanged (link_url, bounce_type, bounce_reason, user_agent, ip, group id …).
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
    """Whether the key includes the provider's time; without a time, ``occurred_at`` is the time of receipt."""

    def with_message_id(self, message_id: str) -> "ProviderEvent":
        """Return the event with our ``message_id``, and with the key that this id gives."""
        if self.message_id == message_id:
            return self
        event = replace(self, message_id=message_id)
        key = _digest(_key_parts(event, message_id)) if self.is_dated else self.key
        return replace(event, key=key)


def parse_delivery(body: bytes, content_type: str, received_at: datetime) -> list[ProviderEvent]:
    """Return the events of a webhook body, in order; an event without a time gets ``received_at`` (timezone-aware).

    Raises MalformedDelivery for a body that cannot be parsed or contains no event. Unknown types and fields are kept.
    """
    events: list[ProviderEvent] = []
    for payload in parse_payloads(body, content_type):
        legacy = payload.get("event", payload if "event_type" in payload else None)
        records = legacy if isinstance(legacy, list) else [legacy]
        events.extend(_parse_legacy_event(record, received_at) for record in records if isinstance(record, dict))
        if legacy is None:
            events.extend(_parse_standard_events(payload, received_at))
    if not events:
        raise MalformedDelivery("The webhook body contains no event.")
    return events


def parse_callback_event(event: CallbackEvent) -> ProviderEvent:
    """Return the event of the polled list with the key that its webhook has; it needs ``occurred_at`` or an id."""
    fallback = event.occurred_at or parse_time("1970-01-01")
    assert isinstance(fallback, datetime)
    return _parse_legacy_event(event.raw, fallback)


def parse_record(record: object, received_at: datetime) -> ProviderEvent:
    """Return the event of one raw item of the polled list; without a time it gets ``received_at`` (timezone-aware).

    Raises MalformedDelivery for a record that is not an object with an event type.
    """
    if not isinstance(record, dict) or not record.get("event_type"):
        raise MalformedDelivery("The polled record is not an object with an event_type.")
    return _parse_legacy_event(record, received_at)


def verify_basic_auth(authorization_header: str | None, username: str, password: str) -> bool:
    """Return whether an Authorization header has these Basic credentials, compared in constant time."""
    scheme, _, encoded = (authorization_header or "").partition(" ")
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        given = b""
    same = hmac.compare_digest(
        hashlib.sha256(given).digest(), hashlib.sha256(f"{username}:{password}".encode()).digest()
    )
    return same and scheme.lower() == "basic"


def _parse_standard_events(payload: dict[str, Any], received_at: datetime) -> list[ProviderEvent]:
    records = payload.get("data")
    records = records if isinstance(records, list) else [records]
    events = []
    for number, record in enumerate(item for item in records if isinstance(item, dict)):
        transaction = _to_object(record.get("transaction"))
        recipient = record.get("recipient")
        group = transaction.get("group", record.get("group"))
        event_id = _to_text(record.get("id")) or (_to_text(payload.get("id")) if number == 0 else None)
        data = {name: value for name, value in record.items() if name not in _STANDARD_FIELDS}
        events.append(
            _build_event(
                kind=record.get("type") or payload.get("type"),
                moment=record.get("timestamp") or payload.get("timestamp"),
                received_at=received_at,
                event_id=event_id,
                transaction_id=_to_text(transaction.get("id")),
                message_id=_to_text(transaction.get("message_id")),
                recipient=_to_text(recipient.get("email") if isinstance(recipient, dict) else recipient),
                group_name=_to_text(group.get("name") if isinstance(group, dict) else group),
                headers=record.get("custom_headers") or transaction.get("custom_headers"),
                data=data,
            )
        )
    return events


def _parse_legacy_event(record: dict[str, Any], received_at: datetime) -> ProviderEvent:
    return _build_event(
        kind=record.get("event_type"),
        moment=record.get("event_date"),
        received_at=received_at,
        event_id=_to_text(record.get("event_id")),
        transaction_id=_to_text(record.get("trans_id")),
        message_id=_to_text(record.get("message_id")),
        recipient=_to_text(record.get("email_to")),
        group_name=_to_text(record.get("group_name")),
        headers=record.get("custom_headers"),
        data={name: value for name, value in record.items() if name not in _LEGACY_FIELDS},
    )


def _build_event(
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
    custom = parse_headers(headers)
    custom_headers = custom if isinstance(custom, dict) else {}
    occurred_at = _parse_moment(moment)
    event = ProviderEvent(
        key="",
        type=_parse_type(kind),
        occurred_at=occurred_at or received_at,
        transaction_id=transaction_id,
        message_id=find_header(custom_headers, MESSAGE_HEADER) or message_id,
        recipient=recipient,
        group_name=group_name,
        event_id=event_id,
        data=data,
        custom_headers=custom_headers,
        is_dated=occurred_at is not None,
    )
    mail = event.message_id or transaction_id
    if occurred_at is not None and mail is not None:
        return replace(event, key=_digest(_key_parts(event, mail)))
    if event_id is not None:
        return replace(event, key=_digest(["id", event_id]), is_dated=False)
    whose = str(recipient) if mail is None else ""
    content = ["content", str(event.type), str(mail), whose, str(moment), json.dumps(data, sort_keys=True)]
    return replace(event, key=_digest(content), is_dated=False)


def _key_parts(event: ProviderEvent, mail: str) -> list[str]:
    """Return the parts of the key of an event with a time."""
    link = _to_text(event.data.get("link_url") or event.data.get("url") or event.data.get("link")) or ""
    second = str(int(event.occurred_at.timestamp()))
    return ["event", str(event.type), mail, second, link]


def _digest(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


def _parse_type(kind: object) -> ProviderEventType | str:
    name = str(kind if kind is not None else "").strip().lower()
    return _TYPES.get(name, name)


def _parse_moment(value: object) -> datetime | None:
    try:
        moment = parse_time(value)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if isinstance(moment, datetime) else None


def _to_text(value: object) -> str | None:
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _to_object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
