"""The SQL of replies."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.pagination import PageRequest, paged
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
        .where(
            EmailDraft.workspace_id == workspace_id, func.lower(Lead.email) == address, EmailDraft.sent_at.is_not(None)
        )
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


async def list_replies(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, *, lead_id: UUID | None, intent: str | None
) -> Sequence[Reply]:
    """Return the workspace's replies, newest first, one more than the page holds."""
    statement = select(Reply).where(Reply.workspace_id == workspace_id)
    if lead_id is not None:
        statement = statement.where(Reply.lead_id == lead_id)
    if intent is not None:
        statement = statement.where(Reply.intent == intent)
    return (await session.scalars(paged(statement, Reply.id, page))).all()
