"""Replies on the wire, and what they are looked for by."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field

from ai.workflows.intent_classification.state import Intent
from api.pagination import Filter, Wire

__all__ = ["Intent", "ReplyFilter", "ReplyOut", "ReplySort"]


class ReplySort(StrEnum):
    """In which order replies come."""

    NEWEST = "-receivedAt"
    OLDEST = "receivedAt"


class ReplyFilter(Filter):
    """Which replies are asked for."""

    lead_id: UUID | None = None
    enrollment_id: UUID | None = None
    sequence_id: UUID | None = None
    intent: Intent | None = None
    is_automatic: Annotated[bool | None, Field(description="Whether a machine wrote it.")] = None
    since: Annotated[AwareDatetime | None, Field(description="Received then or later.")] = None
    until: Annotated[AwareDatetime | None, Field(description="Received before then.")] = None


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
