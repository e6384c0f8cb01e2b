"""The SQL of suppressions."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Select,
    Text,
    and_,
    any_,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    null,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from api.http.pagination import PageRequest, paged
from database import conditions
from database.conditions import account_of, applies_to
from database.landing import allow_long_statements, copy_select, load_landing_table
from database.locks import SUPPRESSIONS
from database.models import Lead, Suppression, SuppressionRemoval
from database.sql_files import load_statement
from domain.suppression import RECIPIENT_REASONS, SuppressionReason, SuppressionScope

_LOCK_SHARED = text(f"SELECT pg_advisory_xact_lock_shared({SUPPRESSIONS})")


async def lock_shared(session: AsyncSession, account_id: UUID) -> None:
    """Make new suppressions of the account wait to commit until this transaction ends; claims share this lock.

    Call it after every other lock, because a transaction that suppresses takes this lock last, when it commits.
    """
    await session.execute(_LOCK_SHARED, {"account_id": str(account_id)})


async def is_suppressed(session: AsyncSession, workspace_id: UUID, email: str) -> bool:
    """Return whether an address or its domain is suppressed."""
    return bool(await session.scalar(select(conditions.is_suppressed(workspace_id, literal(email)))))


async def has_refused(session: AsyncSession, workspace_id: UUID, email: str) -> bool:
    """Return whether the owner of an address has unsubscribed or complained."""
    by_owner = exists().where(
        applies_to(Suppression, workspace_id),
        Suppression.value_hash == func.app.suppression_hash(account_of(workspace_id), literal(email)),
        Suppression.reason.in_(RECIPIENT_REASONS),
    )
    return bool(await session.scalar(select(by_owner)))


async def add_values(
    session: AsyncSession,
    workspace_id: UUID,
    values: Sequence[str],
    *,
    kind: str,
    reason: SuppressionReason,
    source: str,
    at: datetime,
    scope: SuppressionScope,
    include_subdomains: bool = False,
) -> int:
    """Suppress addresses, or domains written `@domain`, all normalised; returns how many are new."""
    given = select(func.unnest(cast(list(values), ARRAY(Text))).label("value")).subquery("given")
    rows = select(given.c.value).distinct()
    return await _add(
        session,
        workspace_id,
        rows,
        kind=kind,
        reason=reason,
        source=source,
        at=at,
        scope=scope,
        include_subdomains=include_subdomains,
    )


async def add_hashes(
    session: AsyncSession,
    workspace_id: UUID,
    hashes: Sequence[str],
    *,
    reason: SuppressionReason,
    source: str,
    at: datetime,
    scope: SuppressionScope,
) -> int:
    """Suppress erased addresses by their hashes; returns how many are new."""
    given = select(func.unnest(cast(list(hashes), ARRAY(Text))).label("value_hash")).subquery("given")
    rows = select(cast(null(), Text).label("value"), given.c.value_hash).distinct()
    return await _add(session, workspace_id, rows, kind="email", reason=reason, source=source, at=at, scope=scope)


async def add_leads(
    session: AsyncSession,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    *,
    reason: SuppressionReason,
    source: str,
    at: datetime,
    scope: SuppressionScope,
) -> int:
    """Suppress the addresses of leads, deleted or not; returns how many are new."""
    rows = (
        select(Lead.email.label("value"))
        .where(Lead.workspace_id == workspace_id, Lead.id == any_(cast(list(lead_ids), ARRAY(PG_UUID))))
        # An erased lead has no address; the erasure has suppressed it.
        .where(Lead.email != "")
        .distinct()
    )
    return await _add(session, workspace_id, rows, kind="email", reason=reason, source=source, at=at, scope=scope)


async def _add(
    session: AsyncSession,
    workspace_id: UUID,
    rows: Select[Any],
    *,
    kind: str,
    reason: SuppressionReason,
    source: str,
    at: datetime,
    scope: SuppressionScope,
    include_subdomains: bool = False,
) -> int:
    columns = rows.subquery("rows").c
    account_id = account_of(workspace_id)
    hashed = columns.value_hash if "value_hash" in columns else func.app.suppression_hash(account_id, columns.value)
    erased = aliased(Suppression)
    is_erased = exists().where(applies_to(erased, workspace_id), erased.value_hash == hashed, erased.value.is_(None))
    # An address that was erased does not come back. Several spellings of a person are one row: the first one is shown.
    value = case((~is_erased, columns.value))
    constants = {
        "account_id": account_id,
        "workspace_id": cast(workspace_id if scope is SuppressionScope.WORKSPACE else None, PG_UUID),
        "kind": literal(kind),
        "reason": literal(reason.value),
        "source": literal(source),
        "suppressed_at": literal(at),
        "include_subdomains": literal(include_subdomains),
    }
    statement = insert(Suppression).from_select(
        ["value", "value_hash", *constants],
        # Lock in id order to avoid deadlocks (database/locks.py).
        select(value, hashed, *constants.values()).ext(distinct_on(hashed)).order_by(hashed, columns.value),
    )
    new = statement.excluded
    target = ["account_id", "value_hash", "workspace_id"]
    if reason in RECIPIENT_REASONS:
        statement = statement.on_conflict_do_update(
            index_elements=target,
            set_={"reason": new.reason, "source": new.source, "suppressed_at": new.suppressed_at},
            where=Suppression.reason.not_in([*RECIPIENT_REASONS, SuppressionReason.DOMAIN]),
        )
    elif include_subdomains:
        # From now on it counts for more addresses than before.
        statement = statement.on_conflict_do_update(
            index_elements=target,
            set_={"include_subdomains": True, "suppressed_at": new.suppressed_at, "created_at": func.now()},
            where=~Suppression.include_subdomains,
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=target)
    # xmax is 0 only in rows that this statement inserted.
    added = await session.scalars(statement.returning(literal_column("xmax = 0", Boolean)))
    return sum(added.all())


async def find_by_value(
    session: AsyncSession, workspace_id: UUID, value: str, scope: SuppressionScope
) -> Suppression | None:
    """Return the suppression of this address, in any spelling, or `@domain`, with this scope."""
    return await session.scalar(
        select(Suppression).where(
            _has_value(Suppression, workspace_id, value), _has_scope(Suppression, workspace_id, scope)
        )
    )


def _has_value(
    table: type[Suppression] | type[SuppressionRemoval], workspace_id: UUID, value: str
) -> ColumnElement[bool]:
    is_value = table.value_hash == func.app.suppression_hash(account_of(workspace_id), value)
    return and_(applies_to(table, workspace_id), is_value)


def _has_scope(
    table: type[Suppression] | type[SuppressionRemoval], workspace_id: UUID, scope: SuppressionScope
) -> ColumnElement[bool]:
    is_account = table.workspace_id.is_(None)
    return is_account if scope is SuppressionScope.ACCOUNT else table.workspace_id == workspace_id


async def find_suppression(session: AsyncSession, workspace_id: UUID, suppression_id: UUID) -> Suppression | None:
    """Return a suppression."""
    return await session.scalar(
        select(Suppression).where(applies_to(Suppression, workspace_id), Suppression.id == suppression_id)
    )


async def list_suppressions(
    session: AsyncSession,
    workspace_id: UUID,
    page: PageRequest,
    *,
    reason: SuppressionReason | None,
    kind: str | None,
    scope: SuppressionScope | None,
    value: str | None,
) -> Sequence[Suppression]:
    """Return the suppressions that count in the workspace, newest first, one more than the page holds."""
    statement = select(Suppression).where(applies_to(Suppression, workspace_id))
    if reason is not None:
        statement = statement.where(Suppression.reason == reason)
    if kind is not None:
        is_domain = Suppression.reason == SuppressionReason.DOMAIN
        statement = statement.where(is_domain if kind == "domain" else ~is_domain)
    if scope is not None:
        statement = statement.where(_has_scope(Suppression, workspace_id, scope))
    if value is not None:
        statement = statement.where(_has_value(Suppression, workspace_id, value))
    return (await session.scalars(paged(statement, Suppression.id, page))).all()


_REMOVE = text(
    """
    WITH removed AS (
      DELETE FROM app.suppressions
       WHERE account_id = (SELECT account_id FROM app.workspaces WHERE id = :workspace_id) AND id = :id
         AND (workspace_id = :workspace_id OR workspace_id IS NULL AND :is_admin)
         AND (:is_admin OR value IS NOT NULL AND reason <> ALL(CAST(:recipient_reasons AS text[])))
      RETURNING *
    )
    INSERT INTO app.suppression_removals
      (account_id, workspace_id, kind, value, value_hash, include_subdomains, reason, source, suppressed_at,
       removed_because, removed_by, removed_at)
    SELECT account_id, workspace_id, kind, value, value_hash, include_subdomains, reason, source, suppressed_at,
           :because, :actor, :now
      FROM removed
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
    """Return the removed suppressions of the workspace and its account, newest first, one more than the page holds."""
    statement = select(SuppressionRemoval).where(applies_to(SuppressionRemoval, workspace_id))
    if value is not None:
        statement = statement.where(_has_value(SuppressionRemoval, workspace_id, value))
    return (await session.scalars(paged(statement, SuppressionRemoval.id, page))).all()


_LANDED = (
    "line_number int, kind text, value text, value_hash text, reason text, source text, suppressed_at timestamptz,"
    " scope text, include_subdomains boolean, cell text, problem text"
)
# If no plain value of the file has its hash of this account, the file is from another account.
_REFUSE_FOREIGN_HASHES = text(
    """
    WITH plain AS (SELECT value, value_hash FROM landing WHERE value IS NOT NULL AND value_hash IS NOT NULL)
    UPDATE landing
       SET cell = value_hash, problem = 'This row has only a hash, which is from another account.'
     WHERE problem IS NULL AND value IS NULL
       AND EXISTS (SELECT FROM plain)
       AND NOT EXISTS (SELECT FROM plain WHERE value_hash = app.suppression_hash(
             (SELECT account_id FROM app.workspaces WHERE id = :workspace_id), value))
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
           to_char(suppressed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           CASE WHEN workspace_id IS NULL THEN 'account' ELSE 'workspace' END, include_subdomains
      FROM (
        SELECT *, CASE WHEN kind = 'domain' THEN ltrim(value, '@') ELSE value END AS plain
          FROM app.suppressions
         WHERE account_id = (SELECT account_id FROM app.workspaces WHERE id = %(workspace_id)s)
           AND (workspace_id IS NULL OR workspace_id = %(workspace_id)s)
         ORDER BY id
      ) AS ordered
"""


async def export_rows(session: AsyncSession, workspace_id: UUID) -> AsyncIterator[bytes]:
    """Yield the suppressions that count in the workspace as CSV with the columns `files.EXPORTED`, oldest first.

    Domains have no @.
    """
    await allow_long_statements(session)
    async for chunk in copy_select(session, _EXPORT, {"workspace_id": workspace_id}):
        yield chunk
