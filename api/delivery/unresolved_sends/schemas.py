"""The JSON of sends of unknown outcome and of their settlement."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.http.pagination import Wire
from database.models import EmailEventType


class Decision(StrEnum):
    """What you have found out about a send: the recipient has the mail, or it was certainly not sent."""

    SENT = "sent"
    NOT_SENT = "not_sent"


class SettleIn(Wire):
    """What you have found out about a send; the note says how."""

    decision: Decision
    note: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]


class ReportedEventOut(Wire):
    """An event that Everlytic reported about the mail."""

    type: EmailEventType
    occurred_at: datetime


class SettlementOut(Wire):
    """What a user decided about a send, and when."""

    draft_id: UUID
    decision: Decision
    note: str
    decided_by: str
    """The user's id."""
    decided_at: datetime


class SyncOut(Wire):
    """How the last sync of Everlytic's transaction list went."""

    synced_at: datetime
    synced_through: datetime | None
    """Mails sent until this time are in the list."""
    error: str | None


class UnknownSendOut(Wire):
    """A mail that Everlytic may or may not have accepted, with what is known about it.

    `lookUps` counts the lookups that did not find it in Everlytic's transaction list; `lookUpError` says why the last
    lookup failed. After `stuckAt` there are no more lookups, and you have to settle it.
    """

    id: UUID
    draft_id: UUID
    enrollment_id: UUID
    lead_id: UUID
    recipient: str
    subject: str
    sequence_id: UUID
    sequence_name: str
    step_id: UUID
    step_order: int
    claimed_at: datetime
    error: str | None
    look_ups: int
    looked_up_at: datetime | None
    next_look_up_at: datetime | None
    look_up_error: str | None
    stuck_at: datetime
    is_stuck: bool
    heard: list[ReportedEventOut]
    last_sync: SyncOut | None
    settlements: list[SettlementOut]
    """The settlements of earlier attempts to send it."""
