"""Events on the wire, and what they are looked for by."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from api.http.pagination import Filter, Wire
from database.models import EmailEventType

EventVerdict = Literal["human", "machine"]


class EventSort(StrEnum):
    """In which order events come: as they became known, or as they happened."""

    NEWEST = "-createdAt"
    OLDEST = "createdAt"
    LATEST = "-occurredAt"
    EARLIEST = "occurredAt"


class EventFilter(Filter):
    """Which events are asked for."""

    type: EmailEventType | None = None
    draft_id: UUID | None = None
    lead_id: UUID | None = None
    sequence_id: UUID | None = None
    verdict: Annotated[EventVerdict | None, Field(description="Of opens and clicks: who did it.")] = None
    since: Annotated[AwareDatetime | None, Field(description="Occurred then or later.")] = None
    until: Annotated[AwareDatetime | None, Field(description="Occurred before then.")] = None


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
