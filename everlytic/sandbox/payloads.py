"""Events in the shapes Everlytic pushes and lists: the standard and legacy field sets, JSON and form."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from everlytic.sandbox.clock import iso
from everlytic.sandbox.scenarios import Behaviour
from everlytic.sandbox.state import Event

_PAST = {"open": "opened", "click": "clicked", "bounce": "bounced"}
_HIDDEN = frozenset({"machine", "reply_kind"})
_BY_SWITCH = {
    "bounce_type": "standard_bounce_details",
    "bounce_reason": "standard_bounce_details",
    "link_url": "standard_link_url",
    "user_agent": "standard_user_agent",
    "ip": "standard_user_agent",
}


def _standard_time(moment: float, how: object) -> object:
    if how == "unix":
        return int(moment)
    return iso(moment).replace("Z", "+00:00") if how == "offset" else iso(moment)


def _legacy_time(moment: float, how: object) -> object:
    if how == "unix":
        return int(moment)
    return iso(moment) if how == "iso" else iso(moment).replace("T", " ").removesuffix("Z")


def standard_record(event: Event, behaviour: Behaviour) -> dict[str, Any]:
    """One entry of the standard payload's ``data``."""
    mail, clock = event.mail, behaviour.value("timestamp_format")
    record: dict[str, Any] = {
        "transaction": {
            "id": mail.transaction_id,
            "message_id": mail.message_id if behaviour.on("message_id_echoed") else mail.rfc_message_id.strip("<>"),
            "method": mail.method,
            "group": {"id": f"g-{mail.group_id}", "name": mail.group},
            "sent_timestamp": _standard_time(mail.accepted_at, clock),
            "subject": mail.subject,
            "message_size_bytes": mail.size,
        },
        "recipient": {"name": mail.recipient_name, "email": mail.recipient},
    }
    record |= {
        name: value
        for name, value in event.data.items()
        if name not in _HIDDEN and (name not in _BY_SWITCH or behaviour.on(_BY_SWITCH[name]))
    }
    if behaviour.on("standard_custom_headers"):
        record["custom_headers"] = mail.custom_headers
    if behaviour.on("unknown_fields"):
        record["x_future"] = {"nested": [1, None, "what"]}
    return record


def standard_payload(events: Sequence[Event], behaviour: Behaviour, type_: str | None = None) -> dict[str, Any]:
    """A standard delivery. Several records carry an id and a time of their own; the outer ones are the first's."""
    first, clock = events[0], behaviour.value("timestamp_format")
    records = [standard_record(event, behaviour) for event in events]
    if len(events) > 1:
        for event, record in zip(events, records, strict=True):
            record["id"] = event.id
            record["timestamp"] = _standard_time(event.occurred_at, clock)
    timestamp = _standard_time(first.occurred_at, clock)
    return {"id": first.id, "type": type_ or first.type, "timestamp": timestamp, "data": records}


def legacy_record(event: Event, behaviour: Behaviour, *, polled: bool = False) -> dict[str, Any]:
    """One event in the legacy field set; ``polled`` for the list of callback events."""
    mail = event.mail
    short = behaviour.value("legacy_type_names") == "short"
    shared = not polled or behaviour.on("callback_ids_shared")
    return {
        "event_id": event.id if shared else event.id.replace("-", "")[:24],
        "event_date": _legacy_time(event.occurred_at, behaviour.value("legacy_event_date")),
        "event_type": event.type if short else _PAST.get(event.type, event.type),
        "email_to": mail.recipient,
        "group_name": mail.group,
        "custom_headers": mail.custom_headers or [],
        "trans_id": mail.legacy_id,
        **{name: value for name, value in event.data.items() if name not in _HIDDEN},
    }


def render(
    events: Sequence[Event], registration: dict[str, Any], behaviour: Behaviour, type_: str | None = None
) -> tuple[str, bytes]:
    """Content type and body of one delivery, as its webhook was registered."""
    if registration.get("field_set") == "legacy":
        records = [legacy_record(event, behaviour) for event in events]
        for event, record in zip(events, records, strict=True):
            if event.type == "sent" and (registration.get("settings") or {}).get("include_html"):
                record["html"] = event.mail.html
            record["event_type"] = type_ or record["event_type"]
        payload: dict[str, Any] = {"event": records[0] if len(records) == 1 else records}
    else:
        payload = standard_payload(events, behaviour, type_)
    if registration.get("content_type") != "application/x-www-form-urlencoded":
        return "application/json", json.dumps(payload).encode()
    if behaviour.value("form_style") == "brackets":
        pairs = [pair for name, value in payload.items() for pair in _brackets(name, value)]
    else:
        pairs = [("event", json.dumps(payload.get("event", payload)))]
    return "application/x-www-form-urlencoded", urlencode(pairs).encode()


def _brackets(name: str, value: object) -> list[tuple[str, str]]:
    """Nested values the way PHP writes them in a form."""
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    else:
        return [(name, "" if value is None else str(value))]
    return [pair for key, one in inner for pair in _brackets(f"{name}[{key}]", one)]
