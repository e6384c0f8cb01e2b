"""A batch of events beside what is stored of the same messages: what is new, and who did what as far as is known."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from api.delivery.events.repository import JudgedEvent, Message, NewEvent, Rejudged
from database.models import EmailEventType
from domain.verdict import Act, Touch, Verdict, judge
from everlytic.webhooks import ProviderEvent

ACTS: dict[EmailEventType, Act] = {EmailEventType.OPENED: "opened", EmailEventType.CLICKED: "clicked"}
KEPT_OF_THE_ERASED = frozenset({"bounce_type", "kind", "by"})


@dataclass(frozen=True, slots=True)
class Known:
    """An event of a type that counts, about a message of ours; `data` is its data as a JSON text."""

    event: ProviderEvent
    type: EmailEventType
    message: Message
    data: str


class Judging:
    """The events of a batch by key, beside those that are stored of the same messages."""

    def __init__(self, known: Sequence[Known]) -> None:
        self._known: dict[str, Known] = {}
        for one in known:
            twin = self._known.get(one.event.key)
            self._known[one.event.key] = one if twin is None else _merged(twin, one)
        self._stored: dict[str, JudgedEvent] = {}
        self._verdicts: dict[str, Verdict] = {}

    @property
    def events(self) -> list[Known]:
        """The events of the batch, each once."""
        return list(self._known.values())

    @property
    def draft_ids(self) -> list[UUID]:
        """The messages on whose opens and clicks the batch throws light."""
        deciding = {*ACTS, EmailEventType.DELIVERED}
        return sorted({one.message.draft_id for one in self._known.values() if one.type in deciding})

    def compare(self, stored: Sequence[JudgedEvent]) -> None:
        """Judge all opens and clicks of `draft_ids`; `stored` are the deliveries, opens and clicks that are stored."""
        self._stored = {one.key: one for one in stored}
        delivered: dict[UUID, datetime] = {}
        touches: defaultdict[UUID, list[tuple[str, Touch]]] = defaultdict(list)
        for key, draft_id, type_, moment, data in self._all():
            # By whole seconds, as keys are: one feed may be more exact than the other.
            at = moment.replace(microsecond=0)
            if type_ is EmailEventType.DELIVERED:
                delivered[draft_id] = min(at, delivered.get(draft_id, at))
            elif type_ in ACTS:
                touches[draft_id].append((key, Touch.read(ACTS[type_], at, data)))
        for draft_id, found in touches.items():
            verdicts = judge([touch for _, touch in found], delivered.get(draft_id))
            self._verdicts.update(zip((key for key, _ in found), verdicts, strict=True))

    def _all(self) -> Iterator[tuple[str, UUID, EmailEventType, datetime, dict[str, Any]]]:
        for key, one in self._stored.items():
            yield key, one.draft_id, EmailEventType(one.type), one.occurred_at, self._data_of(one)
        for key, new in self._known.items():
            if key not in self._stored:
                yield key, new.message.draft_id, new.type, new.event.occurred_at, new.event.data

    def _data_of(self, stored: JudgedEvent) -> dict[str, Any]:
        """Return what is known of a stored event by now: one feed may tell more of it than the other."""
        twin = self._known.get(stored.key)
        if twin is None or twin.message.is_erased or stored.type not in ACTS:
            return stored.data
        return _union(stored.data, twin.event.data)

    def new_events(self) -> list[NewEvent]:
        """Return the events of the batch that are not stored, as far as is known here, in their order."""
        return [self._new(key, one) for key, one in self._known.items() if key not in self._stored]

    def _new(self, key: str, one: Known) -> NewEvent:
        verdict, event, data = self._verdicts.get(key), one.event, one.data
        if event.type == "failed":
            data = json.dumps({**event.data, "kind": "failed"})
        if one.message.is_erased:
            kept = {name: value for name, value in event.data.items() if name in KEPT_OF_THE_ERASED}
            data = json.dumps(kept | ({"kind": "failed"} if event.type == "failed" else {}))
        return NewEvent(
            draft_id=one.message.draft_id,
            message_id=event.transaction_id,
            key=key,
            type=one.type,
            data=data,
            verdict=verdict.by if verdict else None,
            rule=verdict.rule if verdict else None,
            occurred_at=event.occurred_at,
        )

    def rejudged(self) -> list[Rejudged]:
        """Return the stored events of which something else is to be said than was, in the order of their ids.

        Of an erased lead's messages the verdicts stay: what they were given by is gone.
        """
        erased = {one.message.draft_id for one in self._known.values() if one.message.is_erased}
        changed = []
        for key, one in self._stored.items():
            verdict = self._verdicts.get(key)
            if verdict is None or one.draft_id in erased:
                continue
            data = self._data_of(one)
            is_more = data != one.data
            if is_more or (one.verdict, one.rule) != (verdict.by, verdict.rule):
                changed.append(Rejudged(one.id, verdict.by, verdict.rule, json.dumps(data) if is_more else None))
        return sorted(changed)


def _merged(one: Known, other: Known) -> Known:
    data = _union(one.event.data, other.event.data)
    return replace(one, event=replace(one.event, data=data), data=json.dumps(data))


def _union(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of both; where they differ the same one whichever came first."""
    both = {**one, **other}
    for name in one.keys() & other.keys():
        if one[name] != other[name]:
            both[name] = min(one[name], other[name], key=lambda value: json.dumps(value, sort_keys=True))
    return both
