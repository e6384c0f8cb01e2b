"""The timeline of a lead."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.people.leads import service as leads
from api.people.timeline import repository
from domain.clock import Clock


async def list_timeline(
    session: AsyncSession,
    workspace_id: UUID,
    lead_id: UUID,
    *,
    clock: Clock,
    before: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return the events of a lead before the time and id of an item, newest first; raises NotFound."""
    await leads.get_lead(session, workspace_id, lead_id)
    return await repository.list_timeline(session, workspace_id, lead_id, clock=clock, before=before, limit=limit)
