"""The JSON of events, and the filters of their list."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from api.http.pagination import Filter, Wire
from database.models import EmailEventType
from domain.bounce import BounceKind

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
    bounce_kind: Annotated[
        BounceKind | None,
        Field(
            description="What a bounce is about; null for other events. Only `address` suppresses the recipient and "
            "counts as a hard bounce. `policy` and `authentication` pause the workspace's sequences."
        ),
    ]
    occurred_at: datetime
    reported_at: Annotated[
        datetime | None,
        Field(
            description="The time that Everlytic reported, if it is before the mail was sent or after the event was "
            "received; occurredAt is then the nearest possible time. Null otherwise."
        ),
    ]
    synced_at: datetime


class WebhookReceipt(Wire):
    """The request is stored; `duplicate` is true if it was stored before."""

    stored: bool = True
    duplicate: bool = False
