"""The SQL of what comes in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from database.models import EmailDraft, Lead, Reply


async def find_answered_draft(
    session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID]
) -> EmailDraft | None:
    """Return the first of these messages that is the workspace's."""
    statement = select(EmailDraft).where(EmailDraft.workspace_id == workspace_id, EmailDraft.id.in_(draft_ids))
    found = {draft.id: draft for draft in (await session.scalars(statement)).all()}
    return next((found[draft_id] for draft_id in draft_ids if draft_id in found), None)


async def find_last_draft_to(
    session: AsyncSession, workspace_id: UUID, address: str, before: datetime
) -> EmailDraft | None:
    """Return the last message sent to an address before a moment."""
    return await session.scalar(
        select(EmailDraft)
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .where(EmailDraft.workspace_id == workspace_id, Lead.email == address, EmailDraft.sent_at < before)
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
