"""The SQL that follows and prunes the change log."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# What this statement sees and the one of the snapshot `previous` did not. A transaction that was running then is not
# skipped however late it commits, and one that runs on holds nobody else's changes back.
_LOOK = text(
    """
    SELECT CAST(seen.snapshot AS text) AS snapshot, change.workspace_id, change.table_name
      FROM (SELECT pg_current_snapshot() AS snapshot) AS seen
      LEFT JOIN LATERAL (
        SELECT DISTINCT workspace_id, table_name FROM app.changes
         WHERE transaction_id >= pg_snapshot_xmin(CAST(:previous AS pg_snapshot))
           AND NOT pg_visible_in_snapshot(transaction_id, CAST(:previous AS pg_snapshot))
      ) AS change ON true
    """
)

_NOW = text("SELECT CAST(pg_current_snapshot() AS text)")

_PRUNE = text("DELETE FROM app.changes WHERE changed_at < now() - make_interval(secs => :seconds)")


@dataclass(frozen=True, slots=True)
class Look:
    """What was committed since the look before, as (workspace, table), and the snapshot the next look starts from."""

    snapshot: str
    changes: frozenset[tuple[UUID, str]]


async def current_snapshot(session: AsyncSession) -> str:
    """Return which transactions are visible now."""
    snapshot: str = (await session.execute(_NOW)).scalar_one()
    return snapshot


async def look(session: AsyncSession, previous: str) -> Look:
    """Return all that became visible since the snapshot `previous`, over all workspaces; one statement."""
    rows = (await session.execute(_LOOK, {"previous": previous})).all()
    changes = frozenset((row.workspace_id, row.table_name) for row in rows if row.workspace_id is not None)
    return Look(rows[0].snapshot, changes)


async def prune(session: AsyncSession, older_than_seconds: float) -> None:
    """Forget changes that every follower has long seen."""
    await session.execute(_PRUNE, {"seconds": older_than_seconds})
