"""SQL that reads and prunes the change log, and finds the tables that functions and views read."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from database.statements import SCHEMAS, find_relations

# Returns the changes that are visible now and were not visible in the snapshot `previous`. A transaction that was
# running then is returned when it commits, however late, and a long transaction does not delay the changes of others.
_READ_CHANGES = text(
    """
    SELECT CAST(latest.snapshot AS text) AS snapshot, change.workspace_id AS scope_id, change.table_name
      FROM (SELECT pg_current_snapshot() AS snapshot) AS latest
      LEFT JOIN LATERAL (
        SELECT DISTINCT workspace_id, table_name FROM app.changes
         WHERE transaction_id >= pg_snapshot_xmin(CAST(:previous AS pg_snapshot))
           AND NOT pg_visible_in_snapshot(transaction_id, CAST(:previous AS pg_snapshot))
      ) AS change ON true
    """
)

_CURRENT_SNAPSHOT = text("SELECT CAST(pg_current_snapshot() AS text)")

_PRUNE = text("DELETE FROM app.changes WHERE changed_at < now() - make_interval(secs => :seconds)")

_DEFINITIONS = text(
    """
    SELECT proname AS name, prosrc AS statement
      FROM pg_proc WHERE pronamespace::regnamespace::text = ANY(CAST(:schemas AS text[]))
    UNION ALL
    SELECT viewname, definition FROM pg_views WHERE schemaname = ANY(CAST(:schemas AS text[]))
    """
)


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes since the previous snapshot, and the snapshot to continue from.

    `changes` are pairs (scope, table): the scope is a workspace's id, or an account's id for tables of accounts.
    """

    snapshot: str
    changes: frozenset[tuple[UUID, str]]


async def current_snapshot(session: AsyncSession) -> str:
    """Return the current snapshot: which transactions are visible now."""
    snapshot: str = (await session.execute(_CURRENT_SNAPSHOT)).scalar_one()
    return snapshot


async def read_changes(session: AsyncSession, previous: str) -> Changes:
    """Return the changes of all workspaces that became visible since the snapshot `previous`, with one statement."""
    rows = (await session.execute(_READ_CHANGES, {"previous": previous})).all()
    changes = frozenset((row.scope_id, row.table_name) for row in rows if row.scope_id is not None)
    return Changes(rows[0].snapshot, changes)


async def prune_changes(session: AsyncSession, older_than_seconds: float) -> None:
    """Delete changes older than `older_than_seconds`, which every follower has read."""
    await session.execute(_PRUNE, {"seconds": older_than_seconds})


async def find_read_tables(session: AsyncSession) -> Mapping[str, frozenset[str]]:
    """Return the relations that each of our functions and views names in its definition."""
    relations: dict[str, frozenset[str]] = {}
    for row in await session.execute(_DEFINITIONS, {"schemas": list(SCHEMAS)}):
        relations[row.name] = relations.get(row.name, frozenset()) | find_relations(row.statement)
    return relations
