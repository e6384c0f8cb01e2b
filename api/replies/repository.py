"""The SQL of replies."""

from collections.abc import Sequence
from operator import eq, ge, lt
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.pagination import PageRequest, paged
from api.replies.schemas import ReplyFilter
from database.models import EmailDraft, Lead, Reply


async def find_answered(session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID]) -> EmailDraft | None:
    """Return the first of these messages that is the workspace's."""
    statement = select(EmailDraft).where(EmailDraft.workspace_id == workspace_id, EmailDraft.id.in_(draft_ids))
    found = {draft.id: draft for draft in (await session.scalars(statement)).all()}
    return next((found[draft_id] for draft_id in draft_ids if draft_id in found), None)


async def find_last_sent_to(session: AsyncSession, workspace_id: UUID, address: str) -> EmailDraft | None:
    """Return the last message sent to an address."""
    return await session.scalar(
        select(EmailDraft)
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .where(EmailDraft.workspace_id == workspace_id, Lead.email == address, EmailDraft.sent_at.is_not(None))
        .order_by(EmailDraft.sent_at.desc())
        .limit(1)
    )


async def add_reply(session: AsyncSession, workspace_id: UUID, values: dict[str, Any]) -> UUID | None:
    """Insert a reply; None when its Message-ID was taken before."""
    statement = (
        insert(Reply)
        .values(workspace_id=workspace_id, **values)
        .on_conflict_do_nothing(index_elements=["workspace_id", "message_id"])
        .returning(Reply.id)
    )
    reply_id: UUID | None = await session.scalar(statement)
    return reply_id


async def find_reply(session: AsyncSession, workspace_id: UUID, reply_id: UUID) -> Reply | None:
    """Return a reply."""
    return await session.scalar(select(Reply).where(Reply.workspace_id == workspace_id, Reply.id == reply_id))


async def decide(session: AsyncSession, reply_id: UUID, values: dict[str, Any]) -> None:
    """Store what a reply means."""
    await session.execute(update(Reply).where(Reply.id == reply_id).values(**values))


def _replies(workspace_id: UUID) -> Select[Any]:
    """Select the workspace's replies as they are shown, each with the sequence that it answers."""
    shown = [column for column in Reply.__table__.c if column.name != "headers"]
    return (
        select(*shown, EmailDraft.sequence_id)
        .outerjoin(EmailDraft, EmailDraft.id == Reply.draft_id)
        .where(Reply.workspace_id == workspace_id)
    )


async def list_replies(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, wanted: ReplyFilter
) -> Sequence[Row[Any]]:
    """Return the workspace's replies in the page's order, one more than it holds."""
    conditions = (
        (Reply.lead_id, eq, wanted.lead_id),
        (Reply.enrollment_id, eq, wanted.enrollment_id),
        (EmailDraft.sequence_id, eq, wanted.sequence_id),
        (Reply.intent, eq, wanted.intent),
        (Reply.is_automatic, eq, wanted.is_automatic),
        (Reply.received_at, ge, wanted.since),
        (Reply.received_at, lt, wanted.until),
    )
    asked = [compare(column, value) for column, compare, value in conditions if value is not None]
    found: Sequence[Row[Any]] = (
        await session.execute(paged(_replies(workspace_id).where(*asked), Reply.id, page))
    ).all()
    return found


async def show_reply(session: AsyncSession, workspace_id: UUID, reply_id: UUID) -> Row[Any] | None:
    """Return a reply as the list shows it."""
    found: Row[Any] | None = (await session.execute(_replies(workspace_id).where(Reply.id == reply_id))).one_or_none()
    return found
