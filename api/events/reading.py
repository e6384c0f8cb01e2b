"""What provider rows say, as events that can be stored; and of those that say nothing, why."""

import contextlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from api.events.repository import StoredCallback, StoredDelivery
from everlytic.errors import MalformedDelivery
from everlytic.webhooks import ProviderEvent, parse_delivery, read_record

DEEPEST = 50
"""How deep the fields of an event may be nested; nothing that means anything is."""
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
        except RecursionError:
            reading.deliveries[delivery.id] = "The webhook body is nested too deeply."
        else:
            reading.deliveries[delivery.id] = _hear(reading, events)
    for callback in callbacks:
        try:
            event = read_record(json.loads(callback.raw), callback.synced_at)
        except MalformedDelivery as error:
            reading.callbacks[callback.event_key] = str(error)
        except (ValueError, RecursionError):
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
        except (ValueError, RecursionError):
            left += 1
    return f"{left} of {len(events)} events are nested too deeply to be stored." if left else None


def _storable(event: ProviderEvent) -> Heard:
    """Return an event without what Postgres cannot store: one such value would hold up all events after it.

    Raises ValueError, and RecursionError, where nothing sensible is left.
    """
    transaction_id = _cleaned(event.transaction_id, 0)
    if transaction_id is not None and len(transaction_id) > LONGEST_ID:
        transaction_id = None
    data, text = event.data, None
    with contextlib.suppress(ValueError):  # NaN, or an infinite number
        text = json.dumps(data, allow_nan=False)
    if text is None or _MAYBE_UNSTORABLE.search(text) or text.count("[") + text.count("{") > DEEPEST:
        data = _cleaned(data, 0)
        text = json.dumps(data, allow_nan=False)
    return Heard(replace(event, transaction_id=transaction_id, data=data), text)


def _cleaned(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if depth > DEEPEST:
        raise ValueError(depth)
    if isinstance(value, dict):
        return {_cleaned(name, depth + 1): _cleaned(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_cleaned(inner, depth + 1) for inner in value]
    return value
