"""SQL for replies."""

import json
from collections.abc import Sequence
from datetime import datetime
from operator import eq, ge, lt
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest, build_filters, paged
from api.inbox.replies.reports import ReportedEvent
from api.inbox.replies.schemas import ReplyFilter
from database.models import EmailDraft, Lead, Reply, ReplyCorrection


async def find_reply(session: AsyncSession, workspace_id: UUID, reply_id: UUID) -> Reply | None:
    """Return a reply."""
    return await session.scalar(select(Reply).where(Reply.workspace_id == workspace_id, Reply.id == reply_id))


async def find_answered_draft(session: AsyncSession, reply: Reply) -> EmailDraft | None:
    """Return the mail that a reply answers."""
    return await session.scalar(
        select(EmailDraft).where(EmailDraft.workspace_id == reply.workspace_id, EmailDraft.id == reply.draft_id)
    )


async def find_lead_timezone(session: AsyncSession, reply: Reply) -> str | None:
    """Return the time zone of the lead that sent a reply."""
    return await session.scalar(
        select(Lead.timezone).where(Lead.workspace_id == reply.workspace_id, Lead.id == reply.lead_id)
    )


async def store_decision(session: AsyncSession, reply_id: UUID, values: dict[str, Any], *, overwrite: bool) -> bool:
    """Store the intent of a reply, and return whether it was stored; without `overwrite` only if it has none yet."""
    statement = update(Reply).where(Reply.id == reply_id).values(**values).returning(Reply.id)
    return await session.scalar(statement if overwrite else statement.where(Reply.intent.is_(None))) is not None


def _select_replies(workspace_id: UUID) -> Select[Any]:
    """Select the workspace's replies without headers, each with the sequence of the answered mail."""
    columns = [column for column in Reply.__table__.c if column.name not in {"headers", "identity_hash"}]
    return (
        select(*columns, EmailDraft.sequence_id)
        .outerjoin(EmailDraft, EmailDraft.id == Reply.draft_id)
        .where(Reply.workspace_id == workspace_id)
    )


async def list_replies(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, filters: ReplyFilter
) -> Sequence[Row[Any]]:
    """Return the workspace's replies in the page's order, one more than it holds."""
    conditions = build_filters(
        (Reply.lead_id, eq, filters.lead_id),
        (Reply.enrollment_id, eq, filters.enrollment_id),
        (EmailDraft.sequence_id, eq, filters.sequence_id),
        (Reply.intent, eq, filters.intent),
        (Reply.is_automatic, eq, filters.is_automatic),
        (Reply.needs_review, eq, filters.needs_review),
        (Reply.received_at, ge, filters.since),
        (Reply.received_at, lt, filters.until),
    )
    rows: Sequence[Row[Any]] = (
        await session.execute(paged(_select_replies(workspace_id).where(*conditions), Reply.id, page))
    ).all()
    return rows


async def find_reply_row(session: AsyncSession, workspace_id: UUID, reply_id: UUID) -> Row[Any] | None:
    """Return a reply with the columns of the list."""
    row: Row[Any] | None = (
        await session.execute(_select_replies(workspace_id).where(Reply.id == reply_id))
    ).one_or_none()
    return row


async def lock_reply(session: AsyncSession, workspace_id: UUID, reply_id: UUID) -> Reply | None:
    """Return the current reply, locked until the transaction ends."""
    return await session.scalar(
        select(Reply).where(Reply.workspace_id == workspace_id, Reply.id == reply_id).with_for_update(key_share=True),
        execution_options={"populate_existing": True},
    )


async def add_correction(session: AsyncSession, reply: Reply, values: dict[str, Any]) -> None:
    """Insert a correction by a user, with the previous intent."""
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
    """Return whether the lead of a reply has sent other replies that are not automatic."""
    others = select(Reply.id).where(
        Reply.workspace_id == reply.workspace_id,
        Reply.lead_id == reply.lead_id,
        Reply.id != reply.id,
        Reply.is_automatic.is_not(True),
    )
    return bool(await session.scalar(select(others.exists())))


async def list_corrections(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Sequence[Row[Any]]:
    """Return the workspace's corrections with the replies' texts, newest first, one more than the page holds."""
    statement = (
        select(*ReplyCorrection.__table__.c, Reply.subject, Reply.text, Reply.headers, Reply.received_at)
        .join(Reply, Reply.id == ReplyCorrection.reply_id)
        .where(ReplyCorrection.workspace_id == workspace_id)
    )
    rows: Sequence[Row[Any]] = (await session.execute(paged(statement, ReplyCorrection.id, page))).all()
    return rows


# An event that Everlytic has told already, of the same kind, is the same event.
_ADD_REPORTED_EVENT = text(
    """
    INSERT INTO app.email_events (workspace_id, draft_id, provider_event_key, type, data, occurred_at, bounce_kind)
    SELECT :workspace_id, :draft_id, :key, :type, CAST(:data AS jsonb), :now, CAST(:bounce_kind AS text)
     WHERE NOT EXISTS (SELECT FROM app.email_events
                        WHERE workspace_id = :workspace_id AND draft_id = :draft_id AND type = :type
                          AND bounce_kind IS NOT DISTINCT FROM CAST(:bounce_kind AS text))
    ON CONFLICT (workspace_id, provider_event_key) DO NOTHING
    """
)


async def add_reported_event(session: AsyncSession, draft: EmailDraft, event: ReportedEvent, now: datetime) -> None:
    """Store the event of a mail that a report tells, unless an event of the same kind is stored."""
    data = {"by": "mail", "bounce_reason": event.detail} if event.detail else {"by": "mail"}
    parameters = {
        "workspace_id": draft.workspace_id,
        "draft_id": draft.id,
        "key": f"mail:{draft.id}:{event.bounce_kind or event.type}",
        "type": event.type,
        "data": json.dumps(data),
        "bounce_kind": event.bounce_kind,
        "now": now,
    }
    await session.execute(_ADD_REPORTED_EVENT, parameters)
