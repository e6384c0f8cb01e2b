"""The SQL of events: provider rows not yet applied, and the events made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import eq, ge, lt
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, and_, any_, cast, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.events.schemas import EventFilter
from api.pagination import PageRequest, paged
from database.models import (
    CallbackEventRecord,
    EmailDraft,
    EmailEvent,
    EmailEventType,
    Lead,
    ProviderTransaction,
    SendAttempt,
    SendOutcome,
    WebhookDelivery,
    Workspace,
)

_TAKE_TURNS = text("SELECT pg_advisory_xact_lock(hashtextextended('apply_provider_events' || :workspace_id, 0))")


@dataclass(frozen=True, slots=True)
class Message:
    """The message an event is about, as far as applying it needs to know."""

    draft_id: UUID
    lead_id: UUID
    sequence_id: UUID
    outcome: SendOutcome | None


async def take_turns(session: AsyncSession, workspace_id: UUID) -> None:
    """Let one transaction at a time apply the workspace's events."""
    await session.execute(_TAKE_TURNS, {"workspace_id": str(workspace_id)})


async def unapplied_deliveries(session: AsyncSession, workspace_id: UUID, most: int) -> Sequence[WebhookDelivery]:
    """Return pushed requests that have not been applied, oldest first."""
    statement = (
        select(WebhookDelivery)
        .where(WebhookDelivery.workspace_id == workspace_id, WebhookDelivery.applied_at.is_(None))
        .order_by(WebhookDelivery.id)
        .limit(most)
    )
    return (await session.scalars(statement)).all()


async def unapplied_callbacks(session: AsyncSession, workspace_id: UUID, most: int) -> Sequence[CallbackEventRecord]:
    """Return polled events that have not been applied."""
    statement = (
        select(CallbackEventRecord)
        .where(CallbackEventRecord.workspace_id == workspace_id, CallbackEventRecord.applied_at.is_(None))
        .order_by(CallbackEventRecord.occurred_at, CallbackEventRecord.event_key)
        .limit(most)
    )
    return (await session.scalars(statement)).all()


async def mark_deliveries_applied(session: AsyncSession, errors: dict[UUID, str | None], now: datetime) -> None:
    """Note that pushed requests were applied, with what was wrong with them if anything was."""
    rows = [{"id": key, "applied_at": now, "error": error} for key, error in errors.items()]
    await session.execute(update(WebhookDelivery), rows)


async def mark_callbacks_applied(session: AsyncSession, workspace_id: UUID, keys: Sequence[str], now: datetime) -> None:
    """Note that polled events were applied."""
    await session.execute(
        update(CallbackEventRecord)
        .where(
            CallbackEventRecord.workspace_id == workspace_id,
            CallbackEventRecord.event_key == any_(cast(list(keys), ARRAY(Text))),
        )
        .values(applied_at=now)
    )


async def find_messages(
    session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID], transaction_ids: Sequence[str]
) -> tuple[dict[UUID, Message], dict[str, Message]]:
    """Return the messages that events name, by our draft id and by Everlytic's transaction id."""
    statement = (
        select(
            EmailDraft.id,
            EmailDraft.lead_id,
            EmailDraft.sequence_id,
            SendAttempt.outcome,
            SendAttempt.everlytic_transaction_id,
        )
        .outerjoin(SendAttempt, SendAttempt.draft_id == EmailDraft.id)
        .where(EmailDraft.workspace_id == workspace_id)
    )
    by_draft: dict[UUID, Message] = {}
    by_transaction: dict[str, Message] = {}
    for condition in (
        EmailDraft.id == any_(cast(list(draft_ids), ARRAY(PG_UUID))),
        EmailDraft.everlytic_message_id == any_(cast(list(transaction_ids), ARRAY(Text))),
    ):
        for draft_id, lead_id, sequence_id, outcome, transaction_id in await session.execute(
            statement.where(condition)
        ):
            message = Message(draft_id, lead_id, sequence_id, SendOutcome(outcome) if outcome else None)
            by_draft[draft_id] = message
            if transaction_id:
                by_transaction[transaction_id] = message
    return by_draft, by_transaction


async def unknown_but_listed(session: AsyncSession, workspace_id: UUID) -> Sequence[tuple[UUID, str]]:
    """Return (draft, transaction) of sends of unknown outcome that Everlytic's transaction list shows."""
    statement = (
        select(SendAttempt.draft_id, ProviderTransaction.transaction_id)
        .join(
            ProviderTransaction,
            and_(
                ProviderTransaction.workspace_id == SendAttempt.workspace_id,
                ProviderTransaction.message_id == cast(SendAttempt.draft_id, Text),
            ),
        )
        .where(SendAttempt.workspace_id == workspace_id, SendAttempt.outcome == SendOutcome.UNKNOWN)
    )
    return [(draft_id, transaction_id) for draft_id, transaction_id in (await session.execute(statement)).all()]


async def add_events(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Insert events that are not there yet; returns the keys of those that were new."""
    if not rows:
        return set()
    statement = (
        insert(EmailEvent)
        .on_conflict_do_nothing(index_elements=["workspace_id", "provider_event_key"])
        .returning(EmailEvent.provider_event_key)
    )
    return set((await session.scalars(statement, list(rows))).all())


async def delivery_times(session: AsyncSession, draft_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Return when each of these messages was delivered, where that is known."""
    statement = select(EmailEvent.draft_id, EmailEvent.occurred_at).where(
        EmailEvent.draft_id == any_(cast(list(draft_ids), ARRAY(PG_UUID))), EmailEvent.type == EmailEventType.DELIVERED
    )
    return dict((await session.execute(statement)).all())


def _events(workspace_id: UUID) -> Select[Any]:
    """Select the workspace's events, each with the lead and the sequence of its message."""
    return (
        select(*EmailEvent.__table__.c, EmailDraft.lead_id, EmailDraft.sequence_id)
        .join(EmailDraft, EmailDraft.id == EmailEvent.draft_id)
        .where(EmailEvent.workspace_id == workspace_id)
    )


async def list_events(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, wanted: EventFilter
) -> Sequence[Row[Any]]:
    """Return the workspace's events in the page's order, one more than it holds."""
    conditions = (
        (EmailEvent.type, eq, wanted.type),
        (EmailEvent.draft_id, eq, wanted.draft_id),
        (EmailDraft.lead_id, eq, wanted.lead_id),
        (EmailDraft.sequence_id, eq, wanted.sequence_id),
        (EmailEvent.verdict, eq, wanted.verdict),
        (EmailEvent.occurred_at, ge, wanted.since),
        (EmailEvent.occurred_at, lt, wanted.until),
    )
    asked = [compare(column, value) for column, compare, value in conditions if value is not None]
    found: Sequence[Row[Any]] = (
        await session.execute(paged(_events(workspace_id).where(*asked), EmailEvent.id, page))
    ).all()
    return found


async def find_event(session: AsyncSession, workspace_id: UUID, event_id: UUID) -> Row[Any] | None:
    """Return an event."""
    found: Row[Any] | None = (
        await session.execute(_events(workspace_id).where(EmailEvent.id == event_id))
    ).one_or_none()
    return found


async def find_recipient(
    session: AsyncSession, workspace_id: UUID, lead_id: UUID, draft_id: UUID
) -> tuple[str, str] | None:
    """Return who wrote a mail and to which address, or None when the mail is not there."""
    statement = (
        select(Workspace.default_from_name, Lead.email)
        .select_from(EmailDraft)
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .join(Workspace, Workspace.id == EmailDraft.workspace_id)
        .where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == draft_id, Lead.id == lead_id)
    )
    row = (await session.execute(statement)).one_or_none()
    return (row[0], row[1]) if row else None
