"""The SQL that follows and prunes the change log, and says what stands behind the names of functions and views."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from database.statements import SCHEMAS, find_relations

# What this statement sees and the one of the snapshot `previous` did not. A transaction that was running then is not
# skipped however late it commits, and one that runs on holds nobody else's changes back.
_LOOK = text(
    """
    SELECT CAST(seen.snapshot AS text) AS snapshot, change.workspace_id AS scope_id, change.table_name
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

_BEHIND = text(
    """
    SELECT proname AS name, prosrc AS statement
      FROM pg_proc WHERE pronamespace::regnamespace::text = ANY(CAST(:schemas AS text[]))
    UNION ALL
    SELECT viewname, definition FROM pg_views WHERE schemaname = ANY(CAST(:schemas AS text[]))
    """
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What was committed since the look before, and the snapshot the next look starts from.

    `changes` are (scope, table): the scope is a workspace's id, or an account's where a table is of accounts.
    """

    snapshot: str
    changes: frozenset[tuple[UUID, str]]


async def current_snapshot(session: AsyncSession) -> str:
    """Return which transactions are visible now."""
    snapshot: str = (await session.execute(_NOW)).scalar_one()
    return snapshot


async def read_changes(session: AsyncSession, previous: str) -> Changes:
    """Return all that became visible since the snapshot `previous`, over all workspaces; one statement."""
    rows = (await session.execute(_LOOK, {"previous": previous})).all()
    changes = frozenset((row.scope_id, row.table_name) for row in rows if row.scope_id is not None)
    return Changes(rows[0].snapshot, changes)


async def prune_changes(session: AsyncSession, older_than_seconds: float) -> None:
    """Forget changes that every follower has long seen."""
    await session.execute(_PRUNE, {"seconds": older_than_seconds})


async def find_read_tables(session: AsyncSession) -> Mapping[str, frozenset[str]]:
    """Return, for each function and view of ours, the names in its text."""
    found: dict[str, frozenset[str]] = {}
    for row in await session.execute(_BEHIND, {"schemas": list(SCHEMAS)}):
        found[row.name] = found.get(row.name, frozenset()) | find_relations(row.statement)
    return found
