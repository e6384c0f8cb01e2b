"""Events on the wire."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from api.pagination import Wire
from database.models import EmailEventType


class EventOut(Wire):
    """One thing the provider told us of a message."""

    id: UUID
    draft_id: UUID
    type: EmailEventType
    data: dict[str, Any]
    verdict: Literal["human", "machine"] | None
    verdict_rule: str | None
    occurred_at: datetime
    synced_at: datetime
