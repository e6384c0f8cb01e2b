"""The SQL of events: provider rows not yet applied, and the events made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import eq, ge, lt
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, Text, and_, cast, select, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.events.schemas import EventFilter
from api.http.pagination import PageRequest, paged
from database.direct import Named, fetch
from database.models import (
    EmailDraft,
    EmailEvent,
    EmailEventType,
    Lead,
    ProviderTransaction,
    SendAttempt,
    SendOutcome,
    Workspace,
)

_TAKE_TURNS = text("SELECT pg_advisory_xact_lock(hashtextextended('apply_provider_events' || :workspace_id, 0))")
_HOLD_INTAKE = "SELECT pg_advisory_xact_lock_shared(hashtextextended('provider_intake' || %s, 0))"
_AWAIT_INTAKE = "SELECT pg_advisory_xact_lock(hashtextextended('provider_intake' || %s, 0))"

# A body may have megabytes: as many rows as fit, and at least one.
_UNAPPLIED_DELIVERIES = """
SELECT id, content_type, body, received_at
  FROM (SELECT *, sum(octet_length(body)) OVER (ORDER BY id) - octet_length(body) AS bytes_before
          FROM (SELECT id, content_type, body, received_at FROM everlytic.webhook_deliveries
                 WHERE workspace_id = %s AND applied_at IS NULL
                 ORDER BY id
                 LIMIT %s) AS oldest) AS measured
 WHERE bytes_before < %s
 ORDER BY id
"""

# As text: what is in there was said by others, and one value that Python does not read must not hold up the rest.
_UNAPPLIED_CALLBACKS = """
SELECT event_key, raw::text AS raw, occurred_at FROM everlytic.callback_events
 WHERE workspace_id = %s AND applied_at IS NULL
 ORDER BY occurred_at, event_key
 LIMIT %s
"""

_MARK_DELIVERIES = text(
    """
    UPDATE everlytic.webhook_deliveries AS delivery
       SET applied_at = :now, error = told.error
      FROM unnest(CAST(:keys AS uuid[]), CAST(:errors AS text[])) AS told (id, error)
     WHERE delivery.id = told.id AND delivery.workspace_id = :workspace_id
    """
)

_MARK_CALLBACKS = text(
    """
    UPDATE everlytic.callback_events AS event
       SET applied_at = :now, error = told.error
      FROM unnest(CAST(:keys AS text[]), CAST(:errors AS text[])) AS told (event_key, error)
     WHERE event.event_key = told.event_key AND event.workspace_id = :workspace_id
    """
)

_MESSAGE = """
SELECT draft.id AS draft_id, draft.lead_id, draft.sequence_id, attempt.outcome,
       attempt.everlytic_transaction_id AS transaction_id, lead.erased_at IS NOT NULL AS is_erased
  FROM app.email_drafts AS draft
  JOIN app.leads AS lead ON lead.id = draft.lead_id
"""
_MESSAGES_BY_DRAFT = (
    _MESSAGE
    + """
  LEFT JOIN app.send_attempts AS attempt ON attempt.draft_id = draft.id
 WHERE draft.workspace_id = %s AND draft.id = ANY(%s::uuid[])
"""
)
# The index knows no ids that are longer than any is.
_MESSAGES_BY_TRANSACTION = (
    _MESSAGE
    + """
  JOIN app.send_attempts AS attempt ON attempt.draft_id = draft.id
 WHERE attempt.workspace_id = %s AND attempt.everlytic_transaction_id = ANY(%s::text[])
   AND length(attempt.everlytic_transaction_id) <= 255
"""
)

_JUDGED = """
SELECT id, draft_id, provider_event_key AS key, type, occurred_at, data, verdict, verdict_rule AS rule
  FROM app.email_events
 WHERE draft_id = ANY(%s::uuid[]) AND workspace_id = %s AND type IN ('delivered', 'opened', 'clicked')
"""

_ADD_EVENTS = """
INSERT INTO app.email_events (workspace_id, draft_id, everlytic_message_id, provider_event_key, type, data,
                              verdict, verdict_rule, occurred_at)
SELECT %s, event.draft_id, event.message_id, event.key, event.type, event.data::jsonb,
       event.verdict, event.rule, event.occurred_at
  FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
    AS event (draft_id, message_id, key, type, data, verdict, rule, occurred_at)
ON CONFLICT (workspace_id, provider_event_key) DO NOTHING
RETURNING provider_event_key AS key
"""

# Who counts goes by when a row arrived: what says more than before has arrived anew.
_JUDGE_AGAIN = text(
    """
    UPDATE app.email_events AS event
       SET verdict = told.verdict, verdict_rule = told.rule, data = coalesce(CAST(told.data AS jsonb), event.data),
           synced_at = CASE WHEN told.data IS NULL THEN event.synced_at ELSE now() END
      FROM unnest(CAST(:ids AS uuid[]), CAST(:verdicts AS text[]), CAST(:rules AS text[]), CAST(:data AS text[]))
        AS told (id, verdict, rule, data)
     WHERE event.id = told.id AND event.workspace_id = :workspace_id
    """
)


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A pushed request as it was stored."""

    id: UUID
    content_type: str
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class StoredCallback:
    """A polled event as it was stored; `raw` is its JSON text, `occurred_at` when it was polled if it has no time."""

    event_key: str
    raw: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """The message an event is about, as far as applying it needs to know."""

    draft_id: UUID
    lead_id: UUID
    sequence_id: UUID
    outcome: SendOutcome | None
    is_erased: bool
    """Whether nothing may be kept any more that says who it was for."""


class NewEvent(NamedTuple):
    """An event to be stored; `data` is a JSON text."""

    draft_id: UUID
    message_id: str | None
    key: str
    type: EmailEventType
    data: str
    verdict: str | None
    rule: str | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class JudgedEvent:
    """A delivery, an open or a click that is stored, with what was said of it."""

    id: UUID
    draft_id: UUID
    key: str
    type: str
    occurred_at: datetime
    data: dict[str, Any]
    verdict: str | None
    rule: str | None


class Rejudged(NamedTuple):
    """What is now said of a stored event; `data` is a JSON text where more is known of it, else None."""

    id: UUID
    verdict: str | None
    rule: str | None
    data: str | None


async def take_turns(session: AsyncSession, workspace_id: UUID) -> None:
    """Let one transaction at a time apply the workspace's events."""
    await session.execute(_TAKE_TURNS, {"workspace_id": str(workspace_id)})


async def hold_intake(session: AsyncSession, workspace_id: UUID) -> None:
    """Make `await_intake` wait for the end of this transaction."""
    await fetch(session, _HOLD_INTAKE, [str(workspace_id)])


async def await_intake(session: AsyncSession, workspace_id: UUID) -> None:
    """Wait for the end of the transactions that hold the intake."""
    await fetch(session, _AWAIT_INTAKE, [str(workspace_id)])


async def unapplied_deliveries(
    session: AsyncSession, workspace_id: UUID, *, most: int, most_bytes: int
) -> list[StoredDelivery]:
    """Return pushed requests that have not been applied, oldest first; the last may go beyond `most_bytes`."""
    rows = await fetch(session, _UNAPPLIED_DELIVERIES, [workspace_id, most, most_bytes])
    return [StoredDelivery(**row) for row in rows]


async def unapplied_callbacks(session: AsyncSession, workspace_id: UUID, *, most: int) -> list[StoredCallback]:
    """Return polled events that have not been applied, in the order in which they happened."""
    return [StoredCallback(**row) for row in await fetch(session, _UNAPPLIED_CALLBACKS, [workspace_id, most])]


async def mark_deliveries(
    session: AsyncSession, workspace_id: UUID, errors: Mapping[UUID, str | None], now: datetime
) -> None:
    """Note that pushed requests were applied, with what was wrong with them if anything was."""
    parameters = {"workspace_id": workspace_id, "keys": list(errors), "errors": list(errors.values()), "now": now}
    await session.execute(_MARK_DELIVERIES, parameters)


async def mark_callbacks(
    session: AsyncSession, workspace_id: UUID, errors: Mapping[str, str | None], now: datetime
) -> None:
    """Note that polled events were applied, with what was wrong with them if anything was."""
    parameters = {"workspace_id": workspace_id, "keys": list(errors), "errors": list(errors.values()), "now": now}
    await session.execute(_MARK_CALLBACKS, parameters)


async def messages_by_draft(
    session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID]
) -> dict[UUID, Message]:
    """Return those of these messages that are the workspace's, by our id."""
    rows = await fetch(session, _MESSAGES_BY_DRAFT, [workspace_id, list(draft_ids)]) if draft_ids else []
    return {row["draft_id"]: _message(row) for row in rows}


async def messages_by_transaction(
    session: AsyncSession, workspace_id: UUID, transaction_ids: Sequence[str]
) -> dict[str, Message]:
    """Return those of these messages that are the workspace's, by Everlytic's id."""
    if not transaction_ids:
        return {}
    rows = await fetch(session, _MESSAGES_BY_TRANSACTION, [workspace_id, list(transaction_ids)])
    return {row["transaction_id"]: _message(row) for row in rows}


def _message(row: Named) -> Message:
    outcome = SendOutcome(row["outcome"]) if row["outcome"] else None
    return Message(row["draft_id"], row["lead_id"], row["sequence_id"], outcome, row["is_erased"])


async def judged_events(session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID]) -> list[JudgedEvent]:
    """Return all that is stored of deliveries, opens and clicks of these messages."""
    rows = await fetch(session, _JUDGED, [list(draft_ids), workspace_id]) if draft_ids else []
    return [JudgedEvent(**row) for row in rows]


async def add_events(session: AsyncSession, workspace_id: UUID, events: Sequence[NewEvent]) -> set[str]:
    """Insert events that are not there yet; returns the keys of those that were new."""
    if not events:
        return set()
    columns = map(list, zip(*events, strict=True))
    return {row["key"] for row in await fetch(session, _ADD_EVENTS, [workspace_id, *columns])}


async def judge_again(session: AsyncSession, workspace_id: UUID, told: Sequence[Rejudged]) -> None:
    """Change what is said of stored events."""
    if told:
        columns = zip(("ids", "verdicts", "rules", "data"), map(list, zip(*told, strict=True)), strict=True)
        await session.execute(_JUDGE_AGAIN, {"workspace_id": workspace_id, **dict(columns)})


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
