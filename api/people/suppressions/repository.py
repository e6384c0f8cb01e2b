"""The SQL of suppressions."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Select,
    Text,
    any_,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest, paged
from database import conditions
from database.landing import allow_long_statements, copy_select, load_landing_table
from database.locks import SUPPRESSIONS
from database.models import Lead, Suppression, SuppressionRemoval
from database.sql_files import load_statement
from domain.suppression import RECIPIENT_REASONS, SuppressionReason

_LOCK_SHARED = text(f"SELECT pg_advisory_xact_lock_shared({SUPPRESSIONS})")
_LOCK_EXCLUSIVE = text(f"SELECT pg_advisory_xact_lock({SUPPRESSIONS})")


async def lock_shared(session: AsyncSession, workspace_id: UUID) -> None:
    """Make suppressions wait to commit until this transaction ends; claims share this lock.

    Call it before any other lock, because suppressing takes this lock last.
    """
    await session.execute(_LOCK_SHARED, {"workspace_id": str(workspace_id)})


async def lock_exclusive(session: AsyncSession, workspace_id: UUID) -> None:
    """Wait for claims that may not see this transaction's suppressions; later claims wait until it ends."""
    await session.execute(_LOCK_EXCLUSIVE, {"workspace_id": str(workspace_id)})


async def is_suppressed(session: AsyncSession, workspace_id: UUID, email: str) -> bool:
    """Return whether an address or its domain is suppressed."""
    return bool(await session.scalar(select(conditions.is_suppressed(workspace_id, literal(email)))))


async def add_values(
    session: AsyncSession,
    workspace_id: UUID,
    values: Sequence[str],
    *,
    kind: str,
    reason: SuppressionReason,
    source: str,
    at: datetime,
) -> int:
    """Suppress addresses, or domains written `@domain`, all normalised; returns how many are new."""
    given = select(func.unnest(cast(list(values), ARRAY(Text))).label("value")).subquery("given")
    rows = select(given.c.value).distinct()
    return await _add(session, workspace_id, rows, kind=kind, reason=reason, source=source, at=at)


async def add_hashes(
    session: AsyncSession,
    workspace_id: UUID,
    hashes: Sequence[str],
    *,
    reason: SuppressionReason,
    source: str,
    at: datetime,
) -> int:
    """Suppress erased addresses by their hashes; returns how many are new."""
    given = select(func.unnest(cast(list(hashes), ARRAY(Text))).label("value_hash")).subquery("given")
    rows = select(cast(null(), Text).label("value"), given.c.value_hash).distinct()
    return await _add(session, workspace_id, rows, kind="email", reason=reason, source=source, at=at)


async def add_leads(
    session: AsyncSession,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    *,
    reason: SuppressionReason,
    source: str,
    at: datetime,
) -> int:
    """Suppress the addresses of leads, deleted or not; returns how many are new."""
    rows = (
        select(Lead.email.label("value"))
        .where(Lead.workspace_id == workspace_id, Lead.id == any_(cast(list(lead_ids), ARRAY(PG_UUID))))
        # An erased lead has no address; the erasure has suppressed it.
        .where(Lead.email != "")
        .distinct()
    )
    return await _add(session, workspace_id, rows, kind="email", reason=reason, source=source, at=at)


async def _add(
    session: AsyncSession,
    workspace_id: UUID,
    rows: Select[Any],
    *,
    kind: str,
    reason: SuppressionReason,
    source: str,
    at: datetime,
) -> int:
    columns = rows.subquery("rows").c
    value = columns.value
    hashed = columns.value_hash if "value_hash" in columns else func.app.suppression_hash(workspace_id, value)
    constants = (literal(kind), literal(reason.value), literal(source), literal(at))
    statement = insert(Suppression).from_select(
        ["workspace_id", "value", "value_hash", "kind", "reason", "source", "suppressed_at"],
        # Lock in id order to avoid deadlocks (database/locks.py).
        select(literal(workspace_id), value, hashed, *constants).order_by(hashed),
    )
    target = ["workspace_id", "value_hash"]
    if reason in RECIPIENT_REASONS:
        new = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=target,
            set_={"reason": new.reason, "source": new.source, "suppressed_at": new.suppressed_at},
            where=Suppression.reason.not_in([*RECIPIENT_REASONS, SuppressionReason.DOMAIN]),
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=target)
    # xmax is 0 only in rows that this statement inserted.
    added = await session.scalars(statement.returning(literal_column("xmax = 0", Boolean)))
    return sum(added.all())


async def find_by_value(session: AsyncSession, workspace_id: UUID, value: str) -> Suppression | None:
    """Return the suppression of exactly this address, or `@domain`."""
    return await session.scalar(
        select(Suppression).where(
            Suppression.workspace_id == workspace_id,
            Suppression.value_hash == func.app.suppression_hash(workspace_id, value),
        )
    )


async def find_suppression(session: AsyncSession, workspace_id: UUID, suppression_id: UUID) -> Suppression | None:
    """Return a suppression."""
    return await session.scalar(
        select(Suppression).where(Suppression.workspace_id == workspace_id, Suppression.id == suppression_id)
    )


async def list_suppressions(
    session: AsyncSession,
    workspace_id: UUID,
    page: PageRequest,
    *,
    reason: SuppressionReason | None,
    kind: str | None,
    value: str | None,
) -> Sequence[Suppression]:
    """Return the workspace's suppressions, newest first, one more than the page holds."""
    statement = select(Suppression).where(Suppression.workspace_id == workspace_id)
    if reason is not None:
        statement = statement.where(Suppression.reason == reason)
    if kind is not None:
        is_domain = Suppression.reason == SuppressionReason.DOMAIN
        statement = statement.where(is_domain if kind == "domain" else ~is_domain)
    if value is not None:
        statement = statement.where(Suppression.value_hash == func.app.suppression_hash(workspace_id, value))
    return (await session.scalars(paged(statement, Suppression.id, page))).all()


_REMOVE = text(
    """
    WITH removed AS (
      DELETE FROM app.suppressions
       WHERE workspace_id = :workspace_id AND id = :id
         AND (:is_admin OR value IS NOT NULL AND reason <> ALL(CAST(:recipient_reasons AS text[])))
      RETURNING *
    )
    INSERT INTO app.suppression_removals
      (workspace_id, kind, value, value_hash, reason, source, suppressed_at, removed_because, removed_by, removed_at)
    SELECT workspace_id, kind, value, value_hash, reason, source, suppressed_at, :because, :actor, :now FROM removed
    RETURNING id
    """
)


async def delete_suppression(
    session: AsyncSession,
    workspace_id: UUID,
    suppression_id: UUID,
    *,
    is_admin: bool,
    because: str,
    actor: UUID,
    now: datetime,
) -> bool:
    """Delete a suppression and record the removal; False if there is none that this caller may remove."""
    parameters = {
        "workspace_id": workspace_id,
        "id": suppression_id,
        "is_admin": is_admin,
        "recipient_reasons": list(RECIPIENT_REASONS),
        "because": because,
        "actor": actor,
        "now": now,
    }
    return await session.scalar(_REMOVE, parameters) is not None


async def list_removals(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, *, value: str | None
) -> Sequence[SuppressionRemoval]:
    """Return the removed suppressions of the workspace, newest first, one more than the page holds."""
    statement = select(SuppressionRemoval).where(SuppressionRemoval.workspace_id == workspace_id)
    if value is not None:
        statement = statement.where(SuppressionRemoval.value_hash == func.app.suppression_hash(workspace_id, value))
    return (await session.scalars(paged(statement, SuppressionRemoval.id, page))).all()


_LANDED = (
    "line_number int, kind text, value text, value_hash text, reason text, source text, suppressed_at timestamptz,"
    " cell text, problem text"
)
# If no plain value of the file has its hash of this workspace, the file is from another workspace.
_REFUSE_FOREIGN_HASHES = text(
    """
    WITH plain AS (SELECT value, value_hash FROM landing WHERE value IS NOT NULL AND value_hash IS NOT NULL)
    UPDATE landing
       SET cell = value_hash, problem = 'This row has only a hash, which is from another workspace.'
     WHERE problem IS NULL AND value IS NULL
       AND EXISTS (SELECT FROM plain)
       AND NOT EXISTS (SELECT FROM plain WHERE value_hash = app.suppression_hash(:workspace_id, value))
    """
)
_IMPORT = text(load_statement(__file__, "import_suppressions"))
_INVALID = text(
    "SELECT line_number, cell, problem FROM landing WHERE problem IS NOT NULL ORDER BY line_number LIMIT :most"
)


async def import_rows(
    session: AsyncSession, workspace_id: UUID, blocks: AsyncIterator[bytes], *, now: datetime, shown: int
) -> tuple[Row[Any], Sequence[Row[Any]]]:
    """Suppress the values of CSV blocks with the columns `files.LANDED`, with the same precedence as `add_values`.

    Returns the counts (`added`, `sound` and `invalid` rows), and the first invalid rows (line_number, cell, problem).
    """
    await allow_long_statements(session)
    await load_landing_table(session, _LANDED, blocks)
    await session.execute(_REFUSE_FOREIGN_HASHES, {"workspace_id": workspace_id})
    parameters = {"workspace_id": workspace_id, "recipient_reasons": list(RECIPIENT_REASONS), "now": now}
    counts = (await session.execute(_IMPORT, parameters)).one()
    return counts, (await session.execute(_INVALID, {"most": shown})).all()


# A cell that a spreadsheet would read as a formula gets an apostrophe before it, which an import removes.
_EXPORT = r"""
    SELECT kind,
           CASE WHEN plain ~ '^[=+\-@\t\r'']' THEN '''' || plain ELSE plain END,
           value_hash, reason,
           CASE WHEN source ~ '^[=+\-@\t\r'']' THEN '''' || source ELSE source END,
           to_char(suppressed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
      FROM (
        SELECT *, CASE WHEN kind = 'domain' THEN ltrim(value, '@') ELSE value END AS plain
          FROM app.suppressions WHERE workspace_id = %(workspace_id)s ORDER BY id
      ) AS ordered
"""


async def export_rows(session: AsyncSession, workspace_id: UUID) -> AsyncIterator[bytes]:
    """Yield the workspace's suppressions as CSV with the columns `files.EXPORTED`, oldest first; domains without @."""
    await allow_long_statements(session)
    async for chunk in copy_select(session, _EXPORT, {"workspace_id": workspace_id}):
        yield chunk
