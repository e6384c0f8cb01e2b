"""The SQL of suppressions."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Select,
    Text,
    any_,
    cast,
    delete,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from api.pagination import PageRequest, paged
from database.models import Lead, Suppression
from domain.suppression import SuppressionReason

OWN_WORD = (SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINT)
"""What the person said; it outranks what we concluded."""


def suppressed(
    workspace_id: UUID, email: InstrumentedAttribute[str] | ColumnElement[str] | ColumnElement[str | None]
) -> ColumnElement[bool]:
    """Return the condition that `email`, a column of any statement, must not be mailed: itself or its whole domain."""
    domain = literal("@") + func.split_part(email, "@", -1)
    # Two EXISTS and not one over both hashes: Postgres can then hash or anti-join each, however many rows ask.
    return or_(
        _is_listed(func.app.suppression_hash(workspace_id, email), workspace_id),
        _is_listed(func.app.suppression_hash(workspace_id, domain), workspace_id),
    )


def _is_listed(value_hash: ColumnElement[str], workspace_id: UUID) -> ColumnElement[bool]:
    return exists().where(Suppression.workspace_id == workspace_id, Suppression.value_hash == value_hash)


async def is_suppressed(session: AsyncSession, workspace_id: UUID, email: str) -> bool:
    """Say whether an address must not be mailed."""
    return bool(await session.scalar(select(suppressed(workspace_id, literal(email)))))


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
    """Suppress addresses, or domains written `@domain`, all normalised; returns how many were not suppressed before."""
    given = select(func.unnest(cast(list(values), ARRAY(Text))).label("value")).subquery("given")
    rows = select(given.c.value).distinct()
    return await _add(session, workspace_id, rows, kind=kind, reason=reason, source=source, at=at)


async def add_leads(
    session: AsyncSession,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    *,
    reason: SuppressionReason,
    source: str,
    at: datetime,
) -> int:
    """Suppress the addresses of leads, deleted ones too; returns how many were not suppressed before."""
    rows = (
        select(func.lower(Lead.email).label("value"))
        .where(Lead.workspace_id == workspace_id, Lead.id == any_(cast(list(lead_ids), ARRAY(PG_UUID))))
        .distinct()
    )
    return await _add(session, workspace_id, rows, kind="email", reason=reason, source=source, at=at)


async def _add(
    session: AsyncSession,
    workspace_id: UUID,
    rows: Select[tuple[str]],
    *,
    kind: str,
    reason: SuppressionReason,
    source: str,
    at: datetime,
) -> int:
    value = rows.subquery("rows").c.value
    hashed = func.app.suppression_hash(workspace_id, value)
    constants = (literal(kind), literal(reason.value), literal(source), literal(at))
    statement = insert(Suppression).from_select(
        ["workspace_id", "value", "value_hash", "kind", "reason", "source", "suppressed_at"],
        # In one order everywhere, so that two that suppress the same addresses wait for each other and go on.
        select(literal(workspace_id), value, hashed, *constants).order_by(hashed),
    )
    target = ["workspace_id", "value_hash"]
    if reason in OWN_WORD:
        new = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=target,
            set_={"reason": new.reason, "source": new.source, "suppressed_at": new.suppressed_at},
            where=Suppression.reason.not_in([*OWN_WORD, SuppressionReason.DOMAIN]),
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=target)
    # xmax is 0 on a row that this statement inserted, and not on one that it found.
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


async def list_suppressions(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, *, reason: SuppressionReason | None, value: str | None
) -> Sequence[Suppression]:
    """Return the workspace's suppressions, newest first, one more than the page holds."""
    statement = select(Suppression).where(Suppression.workspace_id == workspace_id)
    if reason is not None:
        statement = statement.where(Suppression.reason == reason)
    if value is not None:
        statement = statement.where(Suppression.value_hash == func.app.suppression_hash(workspace_id, value))
    return (await session.scalars(paged(statement, Suppression.id, page))).all()


async def remove(session: AsyncSession, workspace_id: UUID, suppression_id: UUID) -> Suppression | None:
    """Delete a suppression and return what it was."""
    statement = delete(Suppression).where(Suppression.workspace_id == workspace_id, Suppression.id == suppression_id)
    return await session.scalar(statement.returning(Suppression))
