"""Parses stored provider rows into events that Postgres can store, with an error for each row that it cannot parse."""

import contextlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from api.delivery.events.repository import StoredCallback, StoredDelivery
from domain.bounded_json import JsonLimitExceeded, parse_json, require_json_limits
from domain.storable_text import remove_unstorable
from everlytic.errors import MalformedDelivery
from everlytic.protocol import MAX_DEPTH as MAX_BODY_DEPTH
from everlytic.webhooks import ProviderEvent, parse_delivery, parse_record

MAX_EVENT_DEPTH = 50
"""How many levels the fields of an event may nest; real events nest far less."""
MAX_ID_LENGTH = 255
"""A longer transaction id is ignored."""
_MAYBE_UNSTORABLE = re.compile(r"\\u(?:0000|d[89a-f])")


@dataclass(frozen=True, slots=True)
class ParsedEvent:
    """An event, and its data as JSON text that Postgres can store."""

    provider_event: ProviderEvent
    data: str
    received_at: datetime | None
    """When the event was pushed to us; None for a polled event."""


@dataclass(slots=True)
class ParsedRows:
    """The events of a batch of provider rows, and the error of each row by its key, None for a row without one."""

    events: list[ParsedEvent] = field(default_factory=list)
    deliveries: dict[UUID, str | None] = field(default_factory=dict)
    callbacks: dict[str, str | None] = field(default_factory=dict)


def parse_rows(deliveries: Sequence[StoredDelivery], callbacks: Sequence[StoredCallback]) -> ParsedRows:
    """Parse provider rows; a row that cannot be parsed, wholly or in part, does not affect the others."""
    parsed = ParsedRows()
    for delivery in deliveries:
        try:
            events = parse_delivery(delivery.body, delivery.content_type, delivery.received_at)
        except MalformedDelivery as error:
            parsed.deliveries[delivery.id] = str(error)
        else:
            parsed.deliveries[delivery.id] = _add_events(parsed, events, delivery.received_at)
    for callback in callbacks:
        try:
            event = parse_record(parse_json(callback.raw, max_depth=MAX_BODY_DEPTH), callback.occurred_at)
        except MalformedDelivery as error:
            parsed.callbacks[callback.event_key] = str(error)
        except JsonLimitExceeded as error:
            parsed.callbacks[callback.event_key] = f"The polled record {error}."
        except ValueError:
            parsed.callbacks[callback.event_key] = "The polled record is not valid JSON."
        else:
            parsed.callbacks[callback.event_key] = _add_events(parsed, [event], None)
    return parsed


def _add_events(parsed: ParsedRows, events: Sequence[ProviderEvent], received_at: datetime | None) -> str | None:
    """Add the events that can be stored; returns an error if there are others."""
    too_deep = 0
    for event in events:
        try:
            parsed.events.append(_to_storable(event, received_at))
        except JsonLimitExceeded:
            too_deep += 1
    if not too_deep:
        return None
    return f"Events that nest deeper than {MAX_EVENT_DEPTH} levels are not stored: {too_deep} of {len(events)}."


def _to_storable(event: ProviderEvent, received_at: datetime | None) -> ParsedEvent:
    """Return an event without values that Postgres cannot store, which would fail the batch again and again.

    Raises JsonLimitExceeded for an event that nests too deeply.
    """
    transaction_id = _to_storable_value(event.transaction_id)
    if transaction_id is not None and len(transaction_id) > MAX_ID_LENGTH:
        transaction_id = None
    data, text = event.data, None
    with contextlib.suppress(ValueError):  # NaN or an infinite number
        text = json.dumps(data, allow_nan=False)
    is_storable = text is not None and not _MAYBE_UNSTORABLE.search(text)
    if text is None:
        text = json.dumps(data)
    require_json_limits(text, max_depth=MAX_EVENT_DEPTH)
    if not is_storable:
        data = _to_storable_value(data)
        text = json.dumps(data, allow_nan=False)
    return ParsedEvent(replace(event, transaction_id=transaction_id, data=data), text, received_at)


def _to_storable_value(value: Any) -> Any:
    if isinstance(value, str):
        return remove_unstorable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {_to_storable_value(name): _to_storable_value(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_to_storable_value(inner) for inner in value]
    return value
