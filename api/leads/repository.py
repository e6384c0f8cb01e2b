"""The SQL of leads and lists."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import any_, case, cast, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncSession

from api.pagination import PageRequest, paged
from database.models import Lead, LeadEventRecord, LeadList
from domain.lead import LeadEvent, LeadSegment, LeadStatus, next_status, sources_of


async def add_list(session: AsyncSession, workspace_id: UUID, name: str, source_filename: str | None) -> LeadList:
    """Insert an empty list."""
    statement = insert(LeadList).values(workspace_id=workspace_id, name=name, source_filename=source_filename)
    return (await session.scalars(statement.returning(LeadList))).one()


async def find_list(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> LeadList | None:
    """Return a list that is not deleted."""
    return await session.scalar(
        select(LeadList).where(
            LeadList.workspace_id == workspace_id, LeadList.id == list_id, LeadList.deleted_at.is_(None)
        )
    )


async def list_lists(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Sequence[LeadList]:
    """Return the workspace's lists, newest first, one more than the page holds."""
    statement = select(LeadList).where(LeadList.workspace_id == workspace_id, LeadList.deleted_at.is_(None))
    return (await session.scalars(paged(statement, LeadList.id, page))).all()


async def change_count(session: AsyncSession, workspace_id: UUID, list_id: UUID, delta: int) -> bool:
    """Add to a list's count in the transaction that changes its leads; false when there is no such list."""
    statement = (
        update(LeadList)
        .where(LeadList.workspace_id == workspace_id, LeadList.id == list_id)
        .values(lead_count=LeadList.lead_count + delta)
        .returning(LeadList.id)
    )
    return await session.scalar(statement) is not None


async def add_lead(session: AsyncSession, workspace_id: UUID, **values: Any) -> Lead | None:
    """Insert a lead, or return None when the workspace has a live lead of this address."""
    statement = (
        insert(Lead)
        .values(workspace_id=workspace_id, **values)
        .on_conflict_do_nothing(
            index_elements=[Lead.workspace_id, func.lower(Lead.email)], index_where=Lead.deleted_at.is_(None)
        )
        .returning(Lead)
    )
    return await session.scalar(statement)


async def find_lead(session: AsyncSession, workspace_id: UUID, lead_id: UUID) -> Lead | None:
    """Return a lead that is not deleted."""
    return await session.scalar(
        select(Lead).where(Lead.workspace_id == workspace_id, Lead.id == lead_id, Lead.deleted_at.is_(None))
    )


async def hold_lead(session: AsyncSession, workspace_id: UUID, lead_id: UUID) -> Lead | None:
    """Return a lead that is not deleted, as it is now, held against changes until the transaction ends."""
    statement = (
        select(Lead)
        .where(Lead.workspace_id == workspace_id, Lead.id == lead_id, Lead.deleted_at.is_(None))
        .with_for_update(key_share=True)
    )
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def list_leads(
    session: AsyncSession,
    workspace_id: UUID,
    page: PageRequest,
    *,
    status: LeadStatus | None,
    segment: LeadSegment | None,
    list_id: UUID | None,
    text: str | None,
    updated_since: datetime | None,
) -> Sequence[Lead]:
    """Return the workspace's leads, newest first, one more than the page holds; `text` is looked for in any field."""
    statement = select(Lead).where(Lead.workspace_id == workspace_id, Lead.deleted_at.is_(None))
    if status is not None:
        statement = statement.where(Lead.status == status)
    if segment is not None:
        statement = statement.where(Lead.segment == segment)
    if list_id is not None:
        statement = statement.where(Lead.list_id == list_id)
    if text:
        full_name = Lead.first_name + " " + Lead.last_name
        fields = (full_name, Lead.email, Lead.company, Lead.role)
        statement = statement.where(or_(*(field.icontains(text, autoescape=True) for field in fields)))
    if updated_since is not None:
        statement = statement.where(Lead.updated_at >= updated_since)
    return (await session.scalars(paged(statement, Lead.id, page))).all()


async def change_lead(
    session: AsyncSession, workspace_id: UUID, lead_id: UUID, values: dict[str, Any], custom_fields: dict[str, Any]
) -> Lead:
    """Update a lead the caller holds; `custom_fields` are laid over its own, null takes one away.

    An address that another live lead has raises IntegrityError.
    """
    if custom_fields:
        kept = {name: value for name, value in custom_fields.items() if value is not None}
        gone = cast([name for name, value in custom_fields.items() if value is None], ARRAY(Lead.email.type))
        values = values | {"custom_fields": Lead.custom_fields.op("||")(cast(kept, JSONB)).op("-")(gone)}
    statement = (
        update(Lead).where(Lead.workspace_id == workspace_id, Lead.id == lead_id).values(**values).returning(Lead)
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def delete_lead(session: AsyncSession, workspace_id: UUID, lead_id: UUID) -> Lead | None:
    """Mark a live lead as deleted and return it."""
    statement = (
        update(Lead)
        .where(Lead.workspace_id == workspace_id, Lead.id == lead_id, Lead.deleted_at.is_(None))
        .values(deleted_at=func.now())
        .returning(Lead)
    )
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def move(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], event: LeadEvent, *, cause: str, now: datetime
) -> list[UUID]:
    """Move the status of those leads that `event` is legal for and write their history, in one statement.

    Returns the ids of the leads that moved. A lead that somebody else is moving is waited for, and then
    judged by where it has come to stand.
    """
    sources = sorted(sources_of(event))
    before = (
        select(Lead.id, Lead.status)
        .where(
            Lead.workspace_id == workspace_id,
            Lead.id == any_(cast(list(lead_ids), ARRAY(PG_UUID))),
            Lead.status.in_(sources),
        )
        # In one order everywhere, so that two that move the same leads wait for each other and go on.
        .order_by(Lead.id)
        .with_for_update(key_share=True)
        .cte("before")
    )
    target = case({status.value: next_status(status, event).value for status in sources}, value=before.c.status)
    moved = (
        update(Lead)
        .where(Lead.id == before.c.id)
        .values(status=target, last_activity_at=func.greatest(Lead.last_activity_at, now))
        .returning(Lead.id, before.c.status.label("from_status"), Lead.status.label("to_status"))
        .cte("moved")
    )
    names = ["workspace_id", "lead_id", "from_status", "to_status", "event", "cause", "occurred_at"]
    told = insert(LeadEventRecord).from_select(
        names,
        select(
            literal(workspace_id),
            moved.c.id,
            moved.c.from_status,
            moved.c.to_status,
            literal(event.value),
            literal(cause),
            literal(now),
        ),
    )
    return list((await session.scalars(told.returning(LeadEventRecord.lead_id))).all())
