"""What happened to a lead, out of all that tell of it."""

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
    most: int,
) -> Sequence[Row[Any]]:
    """Return what happened to a lead, newest first, at most so many, from before an item's time and id on.

    Raises NotFound.
    """
    await leads.get_lead(session, workspace_id, lead_id)
    return await repository.list_timeline(session, workspace_id, lead_id, clock=clock, before=before, most=most)
