"""SQL for inbound messages."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, any_, cast, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from database.models import EmailDraft, Lead, Reply, SendAttempt


async def find_draft_by_ids(session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID]) -> EmailDraft | None:
    """Return the first of these drafts that belongs to the workspace."""
    statement = select(EmailDraft).where(EmailDraft.workspace_id == workspace_id, EmailDraft.id.in_(draft_ids))
    drafts = {draft.id: draft for draft in (await session.scalars(statement)).all()}
    return next((drafts[draft_id] for draft_id in draft_ids if draft_id in drafts), None)


async def find_last_draft_to(
    session: AsyncSession, workspace_id: UUID, addresses: Sequence[str], before: datetime
) -> EmailDraft | None:
    """Return the last mail sent to one of these addresses before this time."""
    is_any = any_(cast(list(addresses), ARRAY(Text)))
    return await session.scalar(
        select(EmailDraft)
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .outerjoin(SendAttempt, SendAttempt.draft_id == EmailDraft.id)
        .where(EmailDraft.workspace_id == workspace_id, EmailDraft.sent_at < before)
        # The address that was mailed, or the one that the lead has since.
        .where(or_(SendAttempt.recipient == is_any, Lead.email == is_any))
        .order_by(EmailDraft.sent_at.desc())
        .limit(1)
    )


async def add_reply(session: AsyncSession, workspace_id: UUID, values: dict[str, Any]) -> UUID | None:
    """Insert a reply; returns None if a message with its id, sender and words is stored already."""
    statement = (
        insert(Reply)
        .values(workspace_id=workspace_id, identity_hash=_hash_identity(values), **values)
        .on_conflict_do_nothing(index_elements=["workspace_id", "identity_hash"])
        .returning(Reply.id)
    )
    reply_id: UUID | None = await session.scalar(statement)
    return reply_id


def _hash_identity(values: dict[str, Any]) -> ColumnElement[str]:
    """Return the hash of a message's id, sender and words, without blanks, which differ between mailbox services.

    Reports of one mail system have the same words for each mail, so that what they report belongs to their identity.
    """
    head = f"{values['message_id']}\n{values['from_email']}\n"
    reported = f"{values['draft_id']} {json.dumps(values['report'])}" if values["report"] else ""
    content = cast(literal(f"{values['subject']}{values['text']}{reported}"), Text)
    words = func.regexp_replace(content, r"\s+", "", "g")
    return func.encode(func.sha256(func.convert_to(cast(literal(head), Text) + words, "UTF8")), "hex")
