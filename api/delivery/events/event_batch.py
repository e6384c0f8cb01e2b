"""Combines a batch of events with the stored events of the same messages: which are new, and what each one means."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from api.delivery.events.repository import EventUpdate, Message, NewEvent, StoredEvent
from database.models import EmailEventType
from domain.bounce import BounceKind, classify_bounce
from domain.verdict import Interaction, InteractionType, Verdict, classify_interactions
from everlytic.webhooks import ProviderEvent

INTERACTION_TYPES: dict[EmailEventType, InteractionType] = {
    EmailEventType.OPENED: "opened",
    EmailEventType.CLICKED: "clicked",
}
FIELDS_KEPT_AFTER_ERASURE = frozenset({"bounce_type", "kind", "by"})


@dataclass(frozen=True, slots=True)
class MatchedEvent:
    """An event of a type that we store, about one of our messages; `data` is its data as JSON text.

    `occurred_at` is the provider's time, or the nearest possible time if that one is before the mail was sent or after
    the event was received.
    """

    provider_event: ProviderEvent
    type: EmailEventType
    message: Message
    data: str
    occurred_at: datetime

    @property
    def bounce_kind(self) -> BounceKind | None:
        """What a bounce is about; None for other events."""
        return classify_bounce(self.provider_event.data) if self.type is EmailEventType.BOUNCED else None


class EventBatch:
    """The events of a batch by key, and the stored events of the same messages."""

    def __init__(self, events: Sequence[MatchedEvent]) -> None:
        self._events: dict[str, MatchedEvent] = {}
        for event in events:
            duplicate = self._events.get(event.provider_event.key)
            self._events[event.provider_event.key] = event if duplicate is None else _merge_events(duplicate, event)
        self._stored: dict[str, StoredEvent] = {}
        self._verdicts: dict[str, Verdict] = {}

    @property
    def events(self) -> list[MatchedEvent]:
        """The events of the batch, each once."""
        return list(self._events.values())

    @property
    def draft_ids(self) -> list[UUID]:
        """The messages whose stored events the batch can change."""
        relevant_types = {*INTERACTION_TYPES, EmailEventType.DELIVERED, EmailEventType.BOUNCED}
        return sorted({event.message.draft_id for event in self._events.values() if event.type in relevant_types})

    def classify(self, stored: Sequence[StoredEvent]) -> None:
        """Classify the opens and clicks of `draft_ids`; `stored` has their deliveries, bounces, opens and clicks."""
        self._stored = {event.key: event for event in stored}
        delivered_at: dict[UUID, datetime] = {}
        interactions: defaultdict[UUID, list[tuple[str, Interaction]]] = defaultdict(list)
        for key, draft_id, type_, occurred_at, data in self._list_all():
            # In whole seconds, as in the keys: webhooks and polling may report times with different precision.
            at = occurred_at.replace(microsecond=0)
            if type_ is EmailEventType.DELIVERED:
                delivered_at[draft_id] = min(at, delivered_at.get(draft_id, at))
            elif type_ in INTERACTION_TYPES:
                interactions[draft_id].append((key, Interaction.parse(INTERACTION_TYPES[type_], at, data)))
        for draft_id, keyed in interactions.items():
            verdicts = classify_interactions([interaction for _, interaction in keyed], delivered_at.get(draft_id))
            self._verdicts.update(zip((key for key, _ in keyed), verdicts, strict=True))

    def _list_all(self) -> Iterator[tuple[str, UUID, EmailEventType, datetime, dict[str, Any]]]:
        for key, stored in self._stored.items():
            yield key, stored.draft_id, EmailEventType(stored.type), stored.occurred_at, self._merge_data(stored)
        for key, new in self._events.items():
            if key not in self._stored:
                yield key, new.message.draft_id, new.type, new.occurred_at, new.provider_event.data

    def _merge_data(self, stored: StoredEvent) -> dict[str, Any]:
        """Return the data of a stored event with what the batch adds: webhooks and polling report different fields."""
        received = self._events.get(stored.key)
        is_merged = stored.type in INTERACTION_TYPES or self._find_learned_kind(stored) is not None
        if received is None or received.message.is_erased or not is_merged:
            return stored.data
        return _merge_fields(stored.data, received.provider_event.data)

    def _find_learned_kind(self, stored: StoredEvent) -> BounceKind | None:
        """Return the kind of a stored bounce of unknown kind that the batch tells again with its kind."""
        received = self._events.get(stored.key)
        if received is None or stored.type != EmailEventType.BOUNCED or stored.bounce_kind != BounceKind.UNKNOWN:
            return None
        return None if received.bounce_kind is BounceKind.UNKNOWN else received.bounce_kind

    def list_learned_bounces(self) -> list[MatchedEvent]:
        """Return the events of the batch that tell the kind of a stored bounce, which was unknown."""
        return [self._events[key] for key, stored in self._stored.items() if self._find_learned_kind(stored)]

    def list_new(self) -> list[NewEvent]:
        """Return the events of the batch that are not in `stored`, in their order."""
        return [self._to_new(key, event) for key, event in self._events.items() if key not in self._stored]

    def _to_new(self, key: str, matched: MatchedEvent) -> NewEvent:
        verdict, event, data = self._verdicts.get(key), matched.provider_event, matched.data
        if event.type == "failed":
            data = json.dumps({**event.data, "kind": "failed"})
        if matched.message.is_erased:
            kept = {name: value for name, value in event.data.items() if name in FIELDS_KEPT_AFTER_ERASURE}
            data = json.dumps(kept | ({"kind": "failed"} if event.type == "failed" else {}))
        return NewEvent(
            draft_id=matched.message.draft_id,
            message_id=event.transaction_id,
            key=key,
            type=matched.type,
            data=data,
            verdict=verdict.by if verdict else None,
            rule=verdict.rule if verdict else None,
            occurred_at=matched.occurred_at,
            bounce_kind=matched.bounce_kind,
            reported_at=None if matched.occurred_at == event.occurred_at else event.occurred_at,
        )

    def list_updates(self) -> list[EventUpdate]:
        """Return the stored events whose verdict, data or bounce kind changes, in id order.

        Messages of erased leads keep their verdicts, because the data behind them is deleted.
        """
        erased = {event.message.draft_id for event in self._events.values() if event.message.is_erased}
        updates: list[EventUpdate] = []
        for key, stored in self._stored.items():
            if (kind := self._find_learned_kind(stored)) is not None:
                new_data = None if stored.draft_id in erased else json.dumps(self._merge_data(stored))
                updates.append(EventUpdate(stored.id, stored.verdict, stored.rule, new_data, kind))
            verdict = self._verdicts.get(key)
            if verdict is None or stored.draft_id in erased:
                continue
            data = self._merge_data(stored)
            has_new_data = data != stored.data
            if has_new_data or (stored.verdict, stored.rule) != (verdict.by, verdict.rule):
                new_data = json.dumps(data) if has_new_data else None
                updates.append(EventUpdate(stored.id, verdict.by, verdict.rule, new_data, None))
        return sorted(updates, key=lambda update: update.id)


def _merge_events(first: MatchedEvent, second: MatchedEvent) -> MatchedEvent:
    data = _merge_fields(first.provider_event.data, second.provider_event.data)
    return replace(first, provider_event=replace(first.provider_event, data=data), data=json.dumps(data))


def _merge_fields(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of both; of different values the same one is taken in whichever order the events arrive."""
    merged = {**first, **second}
    for name in first.keys() & second.keys():
        if first[name] != second[name]:
            merged[name] = min(first[name], second[name], key=lambda value: json.dumps(value, sort_keys=True))
    return merged
