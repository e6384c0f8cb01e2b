"""The SQL of replies."""

from collections.abc import Sequence
from operator import eq, ge, lt
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest, paged
from api.inbox.replies.schemas import ReplyFilter
from database.models import EmailDraft, Reply, ReplyCorrection


async def find_reply(session: AsyncSession, workspace_id: UUID, reply_id: UUID) -> Reply | None:
    """Return a reply."""
    return await session.scalar(select(Reply).where(Reply.workspace_id == workspace_id, Reply.id == reply_id))


async def store_decision(session: AsyncSession, reply_id: UUID, values: dict[str, Any], *, anew: bool) -> bool:
    """Store what a reply means, or, unless it is decided `anew`, nothing where that is known; tells whether it did."""
    statement = update(Reply).where(Reply.id == reply_id).values(**values).returning(Reply.id)
    return await session.scalar(statement if anew else statement.where(Reply.intent.is_(None))) is not None


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
        (Reply.needs_review, eq, wanted.needs_review),
        (Reply.received_at, ge, wanted.since),
        (Reply.received_at, lt, wanted.until),
    )
    asked = [compare(column, value) for column, compare, value in conditions if value is not None]
    found: Sequence[Row[Any]] = (
        await session.execute(paged(_replies(workspace_id).where(*asked), Reply.id, page))
    ).all()
    return found


async def find_shown_reply(session: AsyncSession, workspace_id: UUID, reply_id: UUID) -> Row[Any] | None:
    """Return a reply as the list shows it."""
    found: Row[Any] | None = (await session.execute(_replies(workspace_id).where(Reply.id == reply_id))).one_or_none()
    return found


async def lock_reply(session: AsyncSession, workspace_id: UUID, reply_id: UUID) -> Reply | None:
    """Return a reply as it is now, which nobody else changes until the transaction ends."""
    return await session.scalar(
        select(Reply).where(Reply.workspace_id == workspace_id, Reply.id == reply_id).with_for_update(key_share=True),
        execution_options={"populate_existing": True},
    )


async def add_correction(session: AsyncSession, reply: Reply, values: dict[str, Any]) -> None:
    """Insert what a person made of a reply, beside what it is taken for until now."""
    await session.execute(
        insert(ReplyCorrection).values(
            workspace_id=reply.workspace_id,
            reply_id=reply.id,
            intent_before=reply.intent,
            is_automatic_before=reply.is_automatic,
            confidence_before=reply.confidence,
            decided_by_before=reply.decided_by,
            **values,
        )
    )


async def has_other_reply(session: AsyncSession, reply: Reply) -> bool:
    """Tell whether the lead of a reply has sent others that no machine wrote."""
    others = select(Reply.id).where(
        Reply.workspace_id == reply.workspace_id,
        Reply.lead_id == reply.lead_id,
        Reply.id != reply.id,
        Reply.is_automatic.is_not(True),
    )
    return bool(await session.scalar(select(others.exists())))


async def list_corrections(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Sequence[Row[Any]]:
    """Return the workspace's corrections with the replies' words, newest first, one more than the page holds."""
    statement = (
        select(*ReplyCorrection.__table__.c, Reply.subject, Reply.text, Reply.headers, Reply.received_at)
        .join(Reply, Reply.id == ReplyCorrection.reply_id)
        .where(ReplyCorrection.workspace_id == workspace_id)
    )
    found: Sequence[Row[Any]] = (await session.execute(paged(statement, ReplyCorrection.id, page))).all()
    return found
