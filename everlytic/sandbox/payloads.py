"""Builds events as Everlytic sends and lists them: the standard and legacy field sets, as JSON and as forms."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from everlytic.sandbox.clock import format_iso
from everlytic.sandbox.scenarios import Behaviour
from everlytic.sandbox.state import Event

_LEGACY_NAMES = {"open": "opened", "click": "clicked", "bounce": "bounced"}
_INTERNAL_FIELDS = frozenset({"machine", "reply_kind"})
_SWITCH_BY_FIELD = {
    "bounce_type": "standard_bounce_details",
    "bounce_reason": "standard_bounce_details",
    "link_url": "standard_link_url",
    "user_agent": "standard_user_agent",
    "ip": "standard_user_agent",
}


def _format_standard_time(moment: float, time_format: object) -> object:
    if time_format == "unix":
        return int(moment)
    return format_iso(moment).replace("Z", "+00:00") if time_format == "offset" else format_iso(moment)


def _format_legacy_time(moment: float, time_format: object) -> object:
    if time_format == "unix":
        return int(moment)
    return format_iso(moment) if time_format == "iso" else format_iso(moment).replace("T", " ").removesuffix("Z")


def build_standard_record(event: Event, behaviour: Behaviour) -> dict[str, Any]:
    """Return one entry of the standard payload's ``data``."""
    mail, time_format = event.mail, behaviour.get("timestamp_format")
    record: dict[str, Any] = {
        "transaction": {
            "id": mail.transaction_id,
            "message_id": mail.message_id if behaviour.is_on("message_id_echoed") else mail.rfc_message_id.strip("<>"),
            "method": mail.method,
            "group": {"id": f"g-{mail.group_id}", "name": mail.group},
            "sent_timestamp": _format_standard_time(mail.accepted_at, time_format),
            "subject": mail.subject,
            "message_size_bytes": mail.size,
        },
        "recipient": {"name": mail.recipient_name, "email": mail.recipient},
    }
    record |= {
        name: value
        for name, value in event.data.items()
        if name not in _INTERNAL_FIELDS and (name not in _SWITCH_BY_FIELD or behaviour.is_on(_SWITCH_BY_FIELD[name]))
    }
    if behaviour.is_on("standard_custom_headers"):
        record["custom_headers"] = mail.custom_headers
    if behaviour.is_on("unknown_fields"):
        record["x_future"] = {"nested": [1, None, "what"]}
    return record


def build_standard_payload(events: Sequence[Event], behaviour: Behaviour, type_: str | None = None) -> dict[str, Any]:
    """Return a standard payload; several records have their own id and time, and the outer ones are the first's."""
    first, time_format = events[0], behaviour.get("timestamp_format")
    records = [build_standard_record(event, behaviour) for event in events]
    if len(events) > 1:
        for event, record in zip(events, records, strict=True):
            record["id"] = event.id
            record["timestamp"] = _format_standard_time(event.occurred_at, time_format)
    timestamp = _format_standard_time(first.occurred_at, time_format)
    return {"id": first.id, "type": type_ or first.type, "timestamp": timestamp, "data": records}


def build_legacy_record(event: Event, behaviour: Behaviour, *, polled: bool = False) -> dict[str, Any]:
    """Return one event in the legacy field set; ``polled`` is for the list of callback events."""
    mail = event.mail
    uses_short_names = behaviour.get("legacy_type_names") == "short"
    shares_ids = not polled or behaviour.is_on("callback_ids_shared")
    return {
        "event_id": event.id if shares_ids else event.id.replace("-", "")[:24],
        "event_date": _format_legacy_time(event.occurred_at, behaviour.get("legacy_event_date")),
        "event_type": event.type if uses_short_names else _LEGACY_NAMES.get(event.type, event.type),
        "email_to": mail.recipient,
        "group_name": mail.group,
        "custom_headers": mail.custom_headers or [],
        "trans_id": mail.legacy_id,
        **{name: value for name, value in event.data.items() if name not in _INTERNAL_FIELDS},
    }


def render_delivery(
    events: Sequence[Event], registration: dict[str, Any], behaviour: Behaviour, type_: str | None = None
) -> tuple[str, bytes]:
    """Return content type and body of one delivery, as registered for its webhook."""
    if registration.get("field_set") == "legacy":
        records = [build_legacy_record(event, behaviour) for event in events]
        for event, record in zip(events, records, strict=True):
            if event.type == "sent" and (registration.get("settings") or {}).get("include_html"):
                record["html"] = event.mail.html
            record["event_type"] = type_ or record["event_type"]
        payload: dict[str, Any] = {"event": records[0] if len(records) == 1 else records}
    else:
        payload = build_standard_payload(events, behaviour, type_)
    if registration.get("content_type") != "application/x-www-form-urlencoded":
        return "application/json", json.dumps(payload).encode()
    if behaviour.get("form_style") == "brackets":
        pairs = [pair for name, value in payload.items() for pair in _flatten_to_brackets(name, value)]
    else:
        pairs = [("event", json.dumps(payload.get("event", payload)))]
    return "application/x-www-form-urlencoded", urlencode(pairs).encode()


def _flatten_to_brackets(name: str, value: object) -> list[tuple[str, str]]:
    """Return nested values as form fields with PHP bracket names."""
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    else:
        return [(name, "" if value is None else str(value))]
    return [pair for key, child in children for pair in _flatten_to_brackets(f"{name}[{key}]", child)]
