"""SQL conditions that several repositories share."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, any_, case, cast, exists, func, literal, null, or_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import InstrumentedAttribute

from database.models import Lead, Suppression
from domain.lead import LeadStatus


def id_in(ids: Collection[UUID]) -> ColumnElement[Any]:
    """Return what an id column is compared with to be one of `ids`, however many they are."""
    return any_(cast(list(ids), ARRAY(PG_UUID)))


def block_reason(workspace_id: UUID | BindParameter[UUID]) -> ColumnElement[str | None]:
    """Return why the lead of a statement must not be mailed, whatever the time; null where it may be."""
    return case(
        (is_suppressed(workspace_id, Lead.email), "the address is suppressed"),
        (Lead.status == LeadStatus.UNSUBSCRIBED, "the lead has unsubscribed"),
        (Lead.erased_at.is_not(None), "the lead was erased"),
        (Lead.deleted_at.is_not(None), "the lead was deleted"),
        else_=null(),
    )


def is_suppressed(
    workspace_id: UUID | BindParameter[UUID],
    email: InstrumentedAttribute[str] | InstrumentedAttribute[str | None] | ColumnElement[str],
) -> ColumnElement[bool]:
    """Return the condition that `email`, a column of any statement, must not be mailed: itself or its whole domain."""
    domain = literal("@") + func.split_part(email, "@", -1)
    # Two EXISTS and not one over both hashes: Postgres can then hash or anti-join each, however many rows ask.
    return or_(
        _has_suppression(func.app.suppression_hash(workspace_id, email), workspace_id),
        _has_suppression(func.app.suppression_hash(workspace_id, domain), workspace_id),
    )


def _has_suppression(value_hash: ColumnElement[str], workspace_id: UUID | BindParameter[UUID]) -> ColumnElement[bool]:
    return exists().where(Suppression.workspace_id == workspace_id, Suppression.value_hash == value_hash)
