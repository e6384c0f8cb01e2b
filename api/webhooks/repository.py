"""The SQL of pushed requests."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from database.models import WebhookDelivery


async def add_deliveries(session: AsyncSession, workspace_id: UUID, rows: Sequence[dict[str, Any]]) -> None:
    """Insert pushed requests as they came."""
    await session.execute(insert(WebhookDelivery), [{"workspace_id": workspace_id, **row} for row in rows])
