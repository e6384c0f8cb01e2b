"""Events on the wire, and what they are looked for by."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from api.pagination import Wire
from database.models import EmailEventType

EventVerdict = Literal["human", "machine"]


class EventSort(StrEnum):
    """In which order events come: as they became known, or as they happened."""

    NEWEST = "-createdAt"
    OLDEST = "createdAt"
    LATEST = "-occurredAt"
    EARLIEST = "occurredAt"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are asked for; what is None is not asked. `since` is within the period, `until` is not."""

    type: EmailEventType | None
    draft_id: UUID | None
    lead_id: UUID | None
    sequence_id: UUID | None
    verdict: EventVerdict | None
    since: datetime | None
    until: datetime | None


class EventOut(Wire):
    """One thing the provider told us of a message."""

    id: UUID
    draft_id: UUID
    lead_id: UUID
    sequence_id: UUID
    type: EmailEventType
    data: dict[str, Any]
    verdict: EventVerdict | None
    verdict_rule: str | None
    occurred_at: datetime
    synced_at: datetime
