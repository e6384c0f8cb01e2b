"""The SQL of events: unapplied provider rows, and the events made from them."""

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
from api.http.pagination import PageRequest, build_filters, paged
from database.direct import Record, fetch
from database.locks import PROVIDER_EVENTS, provider_intake_key
from database.models import (
    EmailDraft,
    EmailEvent,
    EmailEventType,
    ProviderTransaction,
    SendAttempt,
    SendOutcome,
)

# One transaction at a time applies the events of a workspace, so that each event is compared with all stored ones.
_LOCK_EVENTS = text(f"SELECT pg_advisory_xact_lock({PROVIDER_EVENTS})")
# The intake locks make applying wait for deliveries that are being stored, which it would miss otherwise.
_LOCK_INTAKE_SHARED = f"SELECT pg_advisory_xact_lock_shared({provider_intake_key('%s')})"
_LOCK_INTAKE_EXCLUSIVE = f"SELECT pg_advisory_xact_lock({provider_intake_key('%s')})"

# A due job that is not claimed yet will apply these rows, because it waits until this transaction ends.
_STORE_DELIVERIES = """
WITH stored AS (
  INSERT INTO everlytic.webhook_deliveries (workspace_id, content_type, body, received_at)
  SELECT %s, push.content_type, push.body, push.received_at
    FROM unnest(%s::text[], %b::bytea[], %s::timestamptz[]) AS push (content_type, body, received_at)
)
SELECT EXISTS (
  SELECT FROM app.scheduled_jobs
   WHERE workspace_id = %s AND job_type = %s AND status = 'pending' AND run_at <= %s) AS is_job_due
"""

# A body can have megabytes, so the rows are limited by their total size as well; at least one row is returned.
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

# As text, because the provider wrote it: a value that Python cannot parse must not fail the other rows.
_UNAPPLIED_CALLBACKS = """
SELECT event_key, raw::text AS raw, occurred_at FROM everlytic.callback_events
 WHERE workspace_id = %s AND applied_at IS NULL
 ORDER BY occurred_at, event_key
 LIMIT %s
"""

_MARK_DELIVERIES = text(
    """
    UPDATE everlytic.webhook_deliveries AS delivery
       SET applied_at = :now, error = applied.error
      FROM unnest(CAST(:keys AS uuid[]), CAST(:errors AS text[])) AS applied (id, error)
     WHERE delivery.id = applied.id AND delivery.workspace_id = :workspace_id
    """
)

_MARK_CALLBACKS = text(
    """
    UPDATE everlytic.callback_events AS event
       SET applied_at = :now, error = applied.error
      FROM unnest(CAST(:keys AS text[]), CAST(:errors AS text[])) AS applied (event_key, error)
     WHERE event.event_key = applied.event_key AND event.workspace_id = :workspace_id
    """
)

_MESSAGE = """
SELECT draft.id AS draft_id, draft.lead_id, draft.sequence_id, attempt.outcome, attempt.claimed_at,
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
# The condition on the length is that of the partial index, so that the planner uses it.
_MESSAGES_BY_TRANSACTION = (
    _MESSAGE
    + """
  JOIN app.send_attempts AS attempt ON attempt.draft_id = draft.id
 WHERE attempt.workspace_id = %s AND attempt.everlytic_transaction_id = ANY(%s::text[])
   AND length(attempt.everlytic_transaction_id) <= 255
"""
)

_STORED_EVENTS = """
SELECT id, draft_id, provider_event_key AS key, type, occurred_at, data, verdict, verdict_rule AS rule,
       bounce_kind
  FROM app.email_events
 WHERE draft_id = ANY(%s::uuid[]) AND workspace_id = %s AND type IN ('delivered', 'opened', 'clicked', 'bounced')
"""

_ADD_EVENTS = """
INSERT INTO app.email_events (workspace_id, draft_id, everlytic_message_id, provider_event_key, type, data,
                              verdict, verdict_rule, occurred_at, bounce_kind, reported_at)
SELECT %s, event.draft_id, event.message_id, event.key, event.type, event.data::jsonb,
       event.verdict, event.rule, event.occurred_at, event.bounce_kind, event.reported_at
  FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[],
              %s::text[], %s::timestamptz[])
    AS event (draft_id, message_id, key, type, data, verdict, rule, occurred_at, bounce_kind, reported_at)
ON CONFLICT (workspace_id, provider_event_key) DO NOTHING
RETURNING provider_event_key AS key
"""

# Analytics reads rows by `synced_at`, so a row with new data gets a new time.
_UPDATE_EVENTS = text(
    """
    UPDATE app.email_events AS event
       SET verdict = changed.verdict, verdict_rule = changed.rule,
           data = coalesce(CAST(changed.data AS jsonb), event.data),
           bounce_kind = coalesce(changed.bounce_kind, event.bounce_kind),
           synced_at = CASE WHEN num_nonnulls(changed.data, changed.bounce_kind) = 0 THEN event.synced_at ELSE now() END
      FROM unnest(CAST(:ids AS uuid[]), CAST(:verdicts AS text[]), CAST(:rules AS text[]), CAST(:data AS text[]),
                  CAST(:bounce_kinds AS text[]))
        AS changed (id, verdict, rule, data, bounce_kind)
     WHERE event.id = changed.id AND event.workspace_id = :workspace_id
    """
)


class Delivery(NamedTuple):
    """One pushed request, as it was received."""

    content_type: str
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A pushed request as it was stored."""

    id: UUID
    content_type: str
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class StoredCallback:
    """A polled event as it was stored; `raw` is its JSON text, `occurred_at` is the time of the poll if it has none."""

    event_key: str
    raw: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """The message that an event is about."""

    draft_id: UUID
    lead_id: UUID
    sequence_id: UUID
    outcome: SendOutcome | None
    is_erased: bool
    """Whether the lead was erased, so that no personal data may be stored."""
    claimed_at: datetime | None
    """When the mail was claimed to be sent, before which nothing can happen to it; None if no claim is known."""


class NewEvent(NamedTuple):
    """An event to store; `data` is JSON text."""

    draft_id: UUID
    message_id: str | None
    key: str
    type: EmailEventType
    data: str
    verdict: str | None
    rule: str | None
    occurred_at: datetime
    bounce_kind: str | None = None
    reported_at: datetime | None = None
    """The provider's time, where it is impossible and `occurred_at` is the nearest possible time."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A stored delivery, bounce, open or click with its verdict."""

    id: UUID
    draft_id: UUID
    key: str
    type: str
    occurred_at: datetime
    data: dict[str, Any]
    verdict: str | None
    rule: str | None
    bounce_kind: str | None = None


class EventUpdate(NamedTuple):
    """The new verdict of a stored event, and its new data as JSON text and bounce kind, None if they stay."""

    id: UUID
    verdict: str | None
    rule: str | None
    data: str | None
    bounce_kind: str | None


async def lock_events(session: AsyncSession, workspace_id: UUID) -> None:
    """Lock the application of the workspace's events until the transaction ends."""
    await session.execute(_LOCK_EVENTS, {"workspace_id": str(workspace_id)})


async def lock_intake_shared(session: AsyncSession, workspace_id: UUID) -> None:
    """Make `lock_intake_exclusive` wait until this transaction ends."""
    await fetch(session, _LOCK_INTAKE_SHARED, [str(workspace_id)])


async def lock_intake_exclusive(session: AsyncSession, workspace_id: UUID) -> None:
    """Wait until every transaction with the shared lock has ended."""
    await fetch(session, _LOCK_INTAKE_EXCLUSIVE, [str(workspace_id)])


async def store_deliveries(
    session: AsyncSession, workspace_id: UUID, deliveries: Sequence[Delivery], *, job_type: str, now: datetime
) -> bool:
    """Insert pushed requests as they were received; returns whether a job of the type is due and not started."""
    columns = map(list, zip(*deliveries, strict=True))
    (row,) = await fetch(session, _STORE_DELIVERIES, [workspace_id, *columns, workspace_id, job_type, now])
    return bool(row["is_job_due"])


async def list_unapplied_deliveries(
    session: AsyncSession, workspace_id: UUID, *, limit: int, max_bytes: int
) -> list[StoredDelivery]:
    """Return pushed requests that have not been applied, oldest first; the last may exceed `max_bytes`."""
    rows = await fetch(session, _UNAPPLIED_DELIVERIES, [workspace_id, limit, max_bytes])
    return [StoredDelivery(**row) for row in rows]


async def list_unapplied_callbacks(session: AsyncSession, workspace_id: UUID, *, limit: int) -> list[StoredCallback]:
    """Return polled events that have not been applied, in the order in which they occurred."""
    return [StoredCallback(**row) for row in await fetch(session, _UNAPPLIED_CALLBACKS, [workspace_id, limit])]


async def mark_deliveries_applied(
    session: AsyncSession, workspace_id: UUID, errors: Mapping[UUID, str | None], now: datetime
) -> None:
    """Mark pushed requests as applied, each with its error or None."""
    parameters = {"workspace_id": workspace_id, "keys": list(errors), "errors": list(errors.values()), "now": now}
    await session.execute(_MARK_DELIVERIES, parameters)


async def mark_callbacks_applied(
    session: AsyncSession, workspace_id: UUID, errors: Mapping[str, str | None], now: datetime
) -> None:
    """Mark polled events as applied, each with its error or None."""
    parameters = {"workspace_id": workspace_id, "keys": list(errors), "errors": list(errors.values()), "now": now}
    await session.execute(_MARK_CALLBACKS, parameters)


async def find_messages_by_draft(
    session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID]
) -> dict[UUID, Message]:
    """Return the workspace's messages with these draft ids, by id."""
    rows = await fetch(session, _MESSAGES_BY_DRAFT, [workspace_id, list(draft_ids)]) if draft_ids else []
    return {row["draft_id"]: _to_message(row) for row in rows}


async def find_messages_by_transaction(
    session: AsyncSession, workspace_id: UUID, transaction_ids: Sequence[str]
) -> dict[str, Message]:
    """Return the workspace's messages with these transaction ids of Everlytic, by id."""
    if not transaction_ids:
        return {}
    rows = await fetch(session, _MESSAGES_BY_TRANSACTION, [workspace_id, list(transaction_ids)])
    return {row["transaction_id"]: _to_message(row) for row in rows}


def _to_message(row: Record) -> Message:
    outcome = SendOutcome(row["outcome"]) if row["outcome"] else None
    return Message(row["draft_id"], row["lead_id"], row["sequence_id"], outcome, row["is_erased"], row["claimed_at"])


async def list_stored_events(session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID]) -> list[StoredEvent]:
    """Return the stored deliveries, bounces, opens and clicks of these messages."""
    rows = await fetch(session, _STORED_EVENTS, [list(draft_ids), workspace_id]) if draft_ids else []
    return [StoredEvent(**row) for row in rows]


async def add_events(session: AsyncSession, workspace_id: UUID, events: Sequence[NewEvent]) -> set[str]:
    """Insert the events that are not stored yet; returns their keys."""
    if not events:
        return set()
    columns = map(list, zip(*events, strict=True))
    return {row["key"] for row in await fetch(session, _ADD_EVENTS, [workspace_id, *columns])}


async def update_events(session: AsyncSession, workspace_id: UUID, updates: Sequence[EventUpdate]) -> None:
    """Change the verdicts, and the data and bounce kinds if given, of stored events."""
    if updates:
        names = ("ids", "verdicts", "rules", "data", "bounce_kinds")
        columns = dict(zip(names, map(list, zip(*updates, strict=True)), strict=True))
        await session.execute(_UPDATE_EVENTS, {"workspace_id": workspace_id, **columns})


async def list_unknown_sends_in_transactions(session: AsyncSession, workspace_id: UUID) -> Sequence[tuple[UUID, str]]:
    """Return (draft, transaction) of the sends of unknown outcome that Everlytic's transaction list contains."""
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


def _select_events(workspace_id: UUID) -> Select[Any]:
    """Return a query for the workspace's events, each with the lead and the sequence of its message."""
    return (
        select(*EmailEvent.__table__.c, EmailDraft.lead_id, EmailDraft.sequence_id)
        .join(EmailDraft, EmailDraft.id == EmailEvent.draft_id)
        .where(EmailEvent.workspace_id == workspace_id)
    )


async def list_events(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, filters: EventFilter
) -> Sequence[Row[Any]]:
    """Return the workspace's events in the page's order, one more than it holds."""
    conditions = build_filters(
        (EmailEvent.type, eq, filters.type),
        (EmailEvent.draft_id, eq, filters.draft_id),
        (EmailDraft.lead_id, eq, filters.lead_id),
        (EmailDraft.sequence_id, eq, filters.sequence_id),
        (EmailEvent.verdict, eq, filters.verdict),
        (EmailEvent.occurred_at, ge, filters.since),
        (EmailEvent.occurred_at, lt, filters.until),
    )
    statement = paged(_select_events(workspace_id).where(*conditions), EmailEvent.id, page)
    rows: Sequence[Row[Any]] = (await session.execute(statement)).all()
    return rows


async def find_event(session: AsyncSession, workspace_id: UUID, event_id: UUID) -> Row[Any] | None:
    """Return an event, None if the workspace has none with this id."""
    statement = _select_events(workspace_id).where(EmailEvent.id == event_id)
    row: Row[Any] | None = (await session.execute(statement)).one_or_none()
    return row


_RESERVE_LINK = text(
    """
    SELECT workspace_id, draft_id
      FROM app.reserve_unsubscribe_link(:address, CAST(:named_workspace AS uuid), :now, :not_after)
    """
)


async def reserve_link(
    session: AsyncSession, address: str, named_workspace_id: UUID | None, now: datetime, *, not_after: datetime
) -> tuple[UUID, UUID] | None:
    """Reserve a link of the last mail to an address; returns its workspace and draft, None if no link may be sent."""
    parameters = {"address": address, "named_workspace": named_workspace_id, "now": now, "not_after": not_after}
    row = (await session.execute(_RESERVE_LINK, parameters)).one_or_none()
    return (row.workspace_id, row.draft_id) if row is not None else None


async def find_link_request(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID
) -> tuple[str | None, datetime | None] | None:
    """Return to which address a mail was sent, None after erasure, and when a link was requested for it."""
    statement = select(SendAttempt.recipient, SendAttempt.link_requested_at).where(
        SendAttempt.workspace_id == workspace_id, SendAttempt.draft_id == draft_id
    )
    row = (await session.execute(statement)).one_or_none()
    return (row.recipient, row.link_requested_at) if row is not None else None
