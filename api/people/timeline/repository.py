"""The SQL of a lead's timeline."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from database.sql_files import load_statement
from domain.clock import Clock

_TIMELINE = text(load_statement(__file__, "list_timeline"))


async def list_timeline(
    session: AsyncSession,
    workspace_id: UUID,
    lead_id: UUID,
    *,
    clock: Clock,
    before: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return the events of a lead before the time and id of an item, newest first."""
    before_at, before_id = before or (None, None)
    parameters = {
        "workspace_id": workspace_id,
        "lead_id": lead_id,
        "real_start": datetime.fromtimestamp(clock.real_start, UTC),
        "ahead_seconds": clock.virtual_start.timestamp() - clock.real_start,
        "more_speed": clock.speed - 1,
        "before_at": before_at,
        "before_id": before_id,
        "limit": limit,
    }
    return (await session.execute(_TIMELINE, parameters)).all()
