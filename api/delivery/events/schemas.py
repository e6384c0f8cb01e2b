"""The JSON of events, and the filters of their list."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from api.http.pagination import Filter, Wire
from database.models import EmailEventType

EventVerdict = Literal["human", "machine"]


class EventSort(StrEnum):
    """The order of events: by when they were stored, or by when they occurred."""

    NEWEST = "-createdAt"
    OLDEST = "createdAt"
    LATEST = "-occurredAt"
    EARLIEST = "occurredAt"


class EventFilter(Filter):
    """The filters of the list of events."""

    type: EmailEventType | None = None
    draft_id: UUID | None = None
    lead_id: UUID | None = None
    sequence_id: UUID | None = None
    verdict: Annotated[
        EventVerdict | None,
        Field(description="Only opens and clicks made by a human, or only those made by a machine."),
    ] = None
    since: Annotated[AwareDatetime | None, Field(description="Only events at or after this time.")] = None
    until: Annotated[AwareDatetime | None, Field(description="Only events before this time.")] = None


class EventOut(Wire):
    """An event that the provider reported about a message."""

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
