"""Stores what the provider pushes, and applies what it reports, whether it was pushed or polled."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.events import repository
from api.delivery.events.event_batch import EventBatch, MatchedEvent
from api.delivery.events.parsing import ParsedEvent, parse_rows
from api.delivery.events.repository import Delivery, NewEvent, StoredCallback, StoredDelivery
from api.delivery.sending import service as sending
from api.delivery.sending.service import Acceptance
from api.delivery.unresolved_sends import service as unresolved_sends
from api.http.errors import or_404
from api.outreach.sequences import service as sequences
from api.outreach.sequences.service import Refusal
from api.people.leads import recipients
from api.people.leads.recipients import Recipient
from database import jobs
from database.models import EmailEventType, SendOutcome
from domain.bounce import describe_bounce, explain_refusal
from domain.job_types import APPLY_PROVIDER_EVENTS
from domain.suppression import SuppressionReason
from domain.unsubscribe_link import UnsubscribeToken
from everlytic.webhooks import ProviderEvent

MAX_ROWS, MAX_BYTES = 2000, 2 * 1024 * 1024
"""What one transaction applies: this many pushed requests and this many polled events, and this many pushed bytes."""
MAX_STATEMENT_BYTES = 32 * 1024 * 1024
"""The total size of the pushed bodies that one statement stores."""
UNCONFIRMED_OUTCOMES = {None, SendOutcome.CLAIMED, SendOutcome.UNKNOWN}

EVENT_TYPES: Mapping[str, EmailEventType] = {
    "sent": EmailEventType.SENT,
    "delivered": EmailEventType.DELIVERED,
    "open": EmailEventType.OPENED,
    "click": EmailEventType.CLICKED,
    "bounce": EmailEventType.BOUNCED,
    "failed": EmailEventType.BOUNCED,
    "unsubscribe": EmailEventType.UNSUBSCRIBED,
    "complaint": EmailEventType.COMPLAINED,
}
"""Everlytic's event types as our own; events of other types stay in the provider's tables."""


@dataclass(frozen=True, slots=True)
class ProviderRows:
    """Provider rows that have not been applied."""

    deliveries: Sequence[StoredDelivery]
    callbacks: Sequence[StoredCallback]

    def __len__(self) -> int:
        return len(self.deliveries) + len(self.callbacks)


async def store_deliveries(session: AsyncSession, workspace_id: UUID, deliveries: Sequence[Delivery]) -> list[None]:
    """Store pushed requests as they were received, and enqueue the job that applies them unless one is due already."""
    await repository.lock_intake_shared(session, workspace_id)
    now, is_job_due = deliveries[-1].received_at, False
    for part in _split_by_size(deliveries):
        is_job_due = await repository.store_deliveries(
            session, workspace_id, part, job_type=APPLY_PROVIDER_EVENTS, now=now
        )
    if not is_job_due:
        await jobs.enqueue(session, APPLY_PROVIDER_EVENTS, workspace_id, [jobs.Job(now)])
    return [None] * len(deliveries)


def _split_by_size(deliveries: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
    """Yield deliveries in order, in parts that one statement can store."""
    start = size = 0
    for index, delivery in enumerate(deliveries):
        if index > start and size + len(delivery.body) > MAX_STATEMENT_BYTES:
            yield deliveries[start:index]
            start, size = index, 0
        size += len(delivery.body)
    yield deliveries[start:]


async def lock_provider_rows(session: AsyncSession, workspace_id: UUID) -> ProviderRows:
    """Return the workspace's oldest unapplied provider rows; only one transaction at a time gets them."""
    await repository.lock_events(session, workspace_id)
    return ProviderRows(
        await repository.list_unapplied_deliveries(session, workspace_id, limit=MAX_ROWS, max_bytes=MAX_BYTES),
        await repository.list_unapplied_callbacks(session, workspace_id, limit=MAX_ROWS),
    )


async def apply_provider_rows(session: AsyncSession, workspace_id: UUID, rows: ProviderRows, now: datetime) -> None:
    """Apply provider rows; read `now` after they were locked, so that no stop is dated before its cause."""
    parsed = parse_rows(rows.deliveries, rows.callbacks)
    if parsed.events:
        await _apply_events(session, workspace_id, parsed.events, now)
    if parsed.deliveries:
        await repository.mark_deliveries_applied(session, workspace_id, parsed.deliveries, now)
    if parsed.callbacks:
        await repository.mark_callbacks_applied(session, workspace_id, parsed.callbacks, now)


async def _apply_events(
    session: AsyncSession, workspace_id: UUID, events: Sequence[ParsedEvent], now: datetime
) -> None:
    """Store each event once and act on it: first acceptances, then what stops leads, then changed verdicts."""
    matched = await _match_events(session, workspace_id, events, now)
    acceptances = [
        Acceptance(event.message.draft_id, event.provider_event.transaction_id, now)
        for event in matched
        if event.message.outcome in UNCONFIRMED_OUTCOMES
    ]
    if any(event.message.outcome is None for event in matched):
        accepted_ids = sorted({acceptance.draft_id for acceptance in acceptances})
        await unresolved_sends.restore_claims(session, workspace_id, accepted_ids, now)
    if acceptances:
        await sending.record_acceptances(session, workspace_id, acceptances)
    batch = EventBatch(matched)
    batch.classify(await repository.list_stored_events(session, workspace_id, batch.draft_ids))
    new_keys = await repository.add_events(session, workspace_id, batch.list_new())
    new_events = [event for event in batch.events if event.provider_event.key in new_keys]
    await _act_on_events(session, workspace_id, [*new_events, *batch.list_learned_bounces()], now)
    # Erasing a lead locks the lead and then changes its events, so stored events are changed last here too.
    await repository.update_events(session, workspace_id, batch.list_updates())


async def _match_events(
    session: AsyncSession, workspace_id: UUID, events: Sequence[ParsedEvent], now: datetime
) -> list[MatchedEvent]:
    """Return the events of types that we store about our messages, with the keys that their draft ids give them."""
    relevant = [
        (event, _parse_draft_id(event.provider_event)) for event in events if event.provider_event.type in EVENT_TYPES
    ]
    draft_ids = {draft_id for _, draft_id in relevant if draft_id is not None}
    by_draft = await repository.find_messages_by_draft(session, workspace_id, sorted(draft_ids))
    transaction_ids = {event.provider_event.transaction_id for event, draft_id in relevant if draft_id not in by_draft}
    by_transaction = await repository.find_messages_by_transaction(
        session, workspace_id, sorted(filter(None, transaction_ids))
    )
    matched = []
    for parsed, draft_id in relevant:
        message = by_draft.get(draft_id) if draft_id else None
        message = message or by_transaction.get(parsed.provider_event.transaction_id or "")
        if message is not None:
            event = parsed.provider_event.with_message_id(str(message.draft_id))
            occurred_at = _to_possible_time(event.occurred_at, message.claimed_at, parsed.received_at or now)
            matched.append(MatchedEvent(event, EVENT_TYPES[event.type], message, parsed.data, occurred_at))
    return matched


def _to_possible_time(reported: datetime, claimed_at: datetime | None, received_at: datetime) -> datetime:
    """Return the time of an event, or the nearest time from the claim of its mail to its receipt.

    The provider's times have whole seconds, so an event in the second of the claim is not before it.
    """
    earliest = claimed_at.replace(microsecond=0) if claimed_at else None
    if earliest is not None and reported < earliest:
        return earliest
    return min(reported, received_at)


def _parse_draft_id(event: ProviderEvent) -> UUID | None:
    try:
        return UUID(event.message_id) if event.message_id else None
    except ValueError:
        return None


async def _act_on_events(
    session: AsyncSession, workspace_id: UUID, events: Sequence[MatchedEvent], now: datetime
) -> None:
    """Act on new events: a bounce of the address, a complaint or an unsubscribe stops the recipient of its mail.

    Sequences with too many bounces or complaints are paused, and all of them by a bounce that concerns the connection.
    """

    def find_draft_ids(type_: EmailEventType) -> set[UUID]:
        return {event.message.draft_id for event in events if event.type is type_}

    kinds = [(event, event.bounce_kind) for event in events]
    hard_bounced = {event.message.draft_id for event, kind in kinds if kind is not None and kind.is_hard}
    for draft_ids, reason, cause in (
        (hard_bounced, SuppressionReason.HARD_BOUNCE, "everlytic"),
        (find_draft_ids(EmailEventType.UNSUBSCRIBED), SuppressionReason.UNSUBSCRIBED, "unsubscribed at Everlytic"),
        (find_draft_ids(EmailEventType.COMPLAINED), SuppressionReason.COMPLAINT, "complained"),
    ):
        await recipients.stop_recipients(session, workspace_id, draft_ids, reason=reason, cause=cause, now=now)
    guarded_types = {EmailEventType.BOUNCED, EmailEventType.COMPLAINED}
    sequence_ids = {event.message.sequence_id for event in events if event.type in guarded_types}
    await sequences.pause_unhealthy_sequences(session, workspace_id, sequence_ids, _find_refusal(events))


def _find_refusal(events: Sequence[MatchedEvent]) -> Refusal | None:
    """Return the refusal of the mail sent last among those that were refused because of the connection."""
    refusals = []
    for event in events:
        kind, sent_at = event.bounce_kind, event.message.claimed_at or event.occurred_at
        detail = "" if event.message.is_erased else describe_bounce(event.provider_event.data)
        if (reason := explain_refusal(kind, detail)) is not None:
            refusals.append(Refusal(reason, sent_at))
    return max(refusals, key=lambda refusal: refusal.sent_at, default=None)


async def accept_listed_sends(session: AsyncSession, workspace_id: UUID, now: datetime) -> None:
    """Record the sends of unknown outcome that Everlytic's transaction list contains, as last synced, as accepted."""
    listed = await repository.list_unknown_sends_in_transactions(session, workspace_id)
    if listed:
        acceptances = [Acceptance(draft_id, transaction_id, now) for draft_id, transaction_id in listed]
        await sending.record_acceptances(session, workspace_id, acceptances)


async def get_recipient(session: AsyncSession, link: UnsubscribeToken) -> Recipient:
    """Return the recipient of the mail that an unsubscribe link is from; raises NotFound."""
    return await recipients.get_recipient(session, link.workspace_id, link.lead_id, link.draft_id)


async def unsubscribe_by_link(session: AsyncSession, link: UnsubscribeToken, now: datetime) -> Recipient:
    """Unsubscribe the recipient of a mail and store the event for that mail; a repeated call changes nothing."""
    recipient = await get_recipient(session, link)
    event = NewEvent(
        draft_id=link.draft_id,
        message_id=None,
        key=f"link:{link.draft_id}",
        type=EmailEventType.UNSUBSCRIBED,
        data='{"by": "link"}',
        verdict=None,
        rule=None,
        occurred_at=now,
    )
    await repository.add_events(session, link.workspace_id, [event])
    await recipients.stop_recipients(
        session,
        link.workspace_id,
        [link.draft_id],
        reason=SuppressionReason.UNSUBSCRIBED,
        cause=f"link in draft {link.draft_id}",
        now=now,
    )
    return recipient


async def get_event(session: AsyncSession, workspace_id: UUID, event_id: UUID) -> Row[Any]:
    """Return an event; raises NotFound."""
    return or_404(await repository.find_event(session, workspace_id, event_id), "There is no such event.")
