"""Sends of unknown outcome on the wire, and what a person decides about them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.http.pagination import Wire
from database.models import EmailEventType


class Decision(StrEnum):
    """What a person says of a send: the recipient has it, or it certainly never left."""

    SENT = "sent"
    NOT_SENT = "not_sent"


class SettleIn(Wire):
    """What a person has found out about a send, and how."""

    decision: Decision
    note: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]


class HeardOut(Wire):
    """Something that was heard of the mail."""

    type: EmailEventType
    occurred_at: datetime


class SettlementOut(Wire):
    """What a person decided about a send, and when."""

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
    """Up to when it has seen what was sent."""
    error: str | None


class UnknownSendOut(Wire):
    """A mail that Everlytic may or may not have taken, with all that is known about it.

    `lookUps` says how often Everlytic's transaction list was asked without showing it; `lookUpError` why the last look
    could not be had. From `stuckAt` on it is no longer looked for, and waits for a person.
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
    heard: list[HeardOut]
    last_sync: SyncOut | None
    settlements: list[SettlementOut]
    """What was decided about earlier tries to send it."""
