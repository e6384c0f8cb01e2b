"""SQL conditions that several repositories share."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, and_, any_, case, cast, exists, func, literal, null, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import InstrumentedAttribute, aliased

from database.models import Lead, Suppression, SuppressionRemoval, Workspace
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


def awaits_review() -> ColumnElement[bool]:
    """Return whether a reply of the lead of a statement, in any workspace of the account, waits for a user."""
    persons = func.app.list_persons_awaiting_review().table_valued("person_key")
    return func.app.person_key(Lead.email).in_(select(persons.c.person_key))


def is_suppressed(
    workspace_id: UUID | BindParameter[UUID],
    email: InstrumentedAttribute[str] | InstrumentedAttribute[str | None] | ColumnElement[str],
) -> ColumnElement[bool]:
    """Return the condition that `email`, a column of any statement, must not be mailed: itself or its domain.

    Suppressions of the workspace and of its account count, and those of a domain above that include its subdomains.
    """
    account_id = account_of(workspace_id)
    domain = func.split_part(email, "@", -1)
    # Two EXISTS and not one over both hashes: Postgres can then hash or anti-join each, however many rows ask. The
    # third computes several hashes for a row, so it comes last, and only where such suppressions exist.
    return or_(
        _has_suppression(workspace_id, Suppression.value_hash == func.app.suppression_hash(account_id, email)),
        _has_suppression(
            workspace_id, Suppression.value_hash == func.app.suppression_hash(account_id, literal("@") + domain)
        ),
        and_(
            domain.like("%.%.%"),
            _has_suppression(workspace_id, Suppression.include_subdomains),
            _has_suppression(
                workspace_id,
                Suppression.include_subdomains,
                Suppression.value_hash == any_(func.app.parent_domain_hashes(account_id, email)),
            ),
        ),
    )


def account_of(workspace_id: UUID | BindParameter[UUID]) -> ColumnElement[UUID]:
    """Return the account of a workspace."""
    own = aliased(Workspace)
    return select(own.account_id).where(own.id == workspace_id).correlate(None).scalar_subquery()


def applies_to(
    table: type[Suppression] | type[SuppressionRemoval], workspace_id: UUID | BindParameter[UUID]
) -> ColumnElement[bool]:
    """Return the condition that a suppression counts in a workspace: it is the workspace's own or its account's."""
    is_wide_enough = or_(table.workspace_id.is_(None), table.workspace_id == workspace_id)
    return and_(table.account_id == account_of(workspace_id), is_wide_enough)


def _has_suppression(
    workspace_id: UUID | BindParameter[UUID], *conditions: ColumnElement[bool] | InstrumentedAttribute[bool]
) -> ColumnElement[bool]:
    return exists().where(applies_to(Suppression, workspace_id), *conditions)
