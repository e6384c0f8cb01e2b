"""Replies on the wire, and what they are looked for by."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from ai.workflows.intent_classification.state import Intent
from api.pagination import Wire

__all__ = ["Intent", "ReplyFilter", "ReplyOut", "ReplySort"]


class ReplySort(StrEnum):
    """In which order replies come."""

    NEWEST = "-receivedAt"
    OLDEST = "receivedAt"


@dataclass(frozen=True, slots=True)
class ReplyFilter:
    """Which replies are asked for; what is None is not asked. `since` is within the period, `until` is not."""

    lead_id: UUID | None
    enrollment_id: UUID | None
    sequence_id: UUID | None
    intent: Intent | None
    is_automatic: bool | None
    since: datetime | None
    until: datetime | None


class ReplyOut(Wire):
    """A message somebody sent back."""

    id: UUID
    lead_id: UUID | None
    enrollment_id: UUID | None
    sequence_id: UUID | None
    draft_id: UUID | None
    message_id: str
    from_email: str
    subject: str
    text: str
    intent: Intent | None
    is_automatic: bool | None
    confidence: float | None
    decided_by: str | None
    received_at: datetime
