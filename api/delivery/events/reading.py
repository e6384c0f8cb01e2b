"""What provider rows say, as events that can be stored; and of those that say nothing, why."""

import contextlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from api.delivery.events.repository import StoredCallback, StoredDelivery
from domain.bounded_json import JsonLimitExceeded, parse_json, require_json_limits
from everlytic.errors import MalformedDelivery
from everlytic.protocol import MAX_DEPTH as MAX_BODY_DEPTH
from everlytic.webhooks import ProviderEvent, parse_delivery, read_record

MAX_EVENT_DEPTH = 50
"""How many levels the fields of an event may nest; nothing that means anything nests as much."""
LONGEST_ID = 255
"""Of a transaction; what is longer is none."""
_MAYBE_UNSTORABLE = re.compile(r"\\u(?:0000|d[89a-f])")


@dataclass(frozen=True, slots=True)
class Heard:
    """An event, and its data as JSON that Postgres takes."""

    event: ProviderEvent
    data: str


@dataclass(slots=True)
class Reading:
    """What a batch of provider rows says; the errors, None for a row that could be read, are by the rows' keys."""

    heard: list[Heard] = field(default_factory=list)
    deliveries: dict[UUID, str | None] = field(default_factory=dict)
    callbacks: dict[str, str | None] = field(default_factory=dict)


def read_rows(deliveries: Sequence[StoredDelivery], callbacks: Sequence[StoredCallback]) -> Reading:
    """Read provider rows; one that cannot be read, or not whole, takes no other with it."""
    reading = Reading()
    for delivery in deliveries:
        try:
            events = parse_delivery(delivery.body, delivery.content_type, delivery.received_at)
        except MalformedDelivery as error:
            reading.deliveries[delivery.id] = str(error)
        else:
            reading.deliveries[delivery.id] = _hear(reading, events)
    for callback in callbacks:
        try:
            event = read_record(parse_json(callback.raw, max_depth=MAX_BODY_DEPTH), callback.occurred_at)
        except MalformedDelivery as error:
            reading.callbacks[callback.event_key] = str(error)
        except JsonLimitExceeded as error:
            reading.callbacks[callback.event_key] = f"The polled record {error}."
        except ValueError:
            reading.callbacks[callback.event_key] = "The polled record cannot be read as JSON."
        else:
            reading.callbacks[callback.event_key] = _hear(reading, [event])
    return reading


def _hear(reading: Reading, events: Sequence[ProviderEvent]) -> str | None:
    """Take what can be stored of some events; returns what was wrong with the others."""
    left = 0
    for event in events:
        try:
            reading.heard.append(_storable(event))
        except JsonLimitExceeded:
            left += 1
    if not left:
        return None
    return f"Events that nest deeper than {MAX_EVENT_DEPTH} levels are not stored: {left} of {len(events)}."


def _storable(event: ProviderEvent) -> Heard:
    """Return an event without what Postgres cannot store: one such value would hold up all events after it.

    Raises JsonLimitExceeded for one that nests too deeply.
    """
    transaction_id = _cleaned(event.transaction_id)
    if transaction_id is not None and len(transaction_id) > LONGEST_ID:
        transaction_id = None
    data, text = event.data, None
    with contextlib.suppress(ValueError):  # NaN, or an infinite number
        text = json.dumps(data, allow_nan=False)
    is_storable = text is not None and not _MAYBE_UNSTORABLE.search(text)
    if text is None:
        text = json.dumps(data)
    require_json_limits(text, max_depth=MAX_EVENT_DEPTH)
    if not is_storable:
        data = _cleaned(data)
        text = json.dumps(data, allow_nan=False)
    return Heard(replace(event, transaction_id=transaction_id, data=data), text)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_cleaned(inner) for inner in value]
    return value
