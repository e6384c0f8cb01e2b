"""Replies on the wire."""

from datetime import datetime
from uuid import UUID

from api.pagination import Wire


class ReplyOut(Wire):
    """A message somebody sent back."""

    id: UUID
    lead_id: UUID | None
    enrollment_id: UUID | None
    draft_id: UUID | None
    message_id: str
    from_email: str
    subject: str
    text: str
    intent: str | None
    is_automatic: bool | None
    confidence: float | None
    decided_by: str | None
    received_at: datetime
