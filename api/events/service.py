"""The one function that applies what the provider told us, whichever way it arrived."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.enrollments import service as enrollments
from api.errors import NotFound
from api.events import repository
from api.events.repository import Message
from api.events.schemas import EventFilter
from api.events.verdicts import judge
from api.guards import service as guards
from api.outcomes import service as outcomes
from api.pagination import PageRequest
from api.sending import service as sending
from api.sending.service import Acceptance
from api.suppressions import service as suppressions
from api.suppressions.tokens import UnsubscribeToken
from database.models import CallbackEventRecord, EmailEventType, SendOutcome, WebhookDelivery
from domain.enrollment import EnrollmentEvent
from domain.suppression import SuppressionReason
from everlytic.errors import MalformedDelivery
from everlytic.models import CallbackEvent
from everlytic.webhooks import ProviderEvent, from_callback_event, parse_delivery

MOST_AT_ONCE = 1000
NOT_KNOWN_TO_BE_SENT = {None, SendOutcome.CLAIMED, SendOutcome.UNKNOWN}

TYPES: Mapping[str, EmailEventType] = {
    "sent": EmailEventType.SENT,
    "delivered": EmailEventType.DELIVERED,
    "open": EmailEventType.OPENED,
    "click": EmailEventType.CLICKED,
    "bounce": EmailEventType.BOUNCED,
    "failed": EmailEventType.BOUNCED,
    "unsubscribe": EmailEventType.UNSUBSCRIBED,
    "complaint": EmailEventType.COMPLAINED,
}
"""Everlytic's event types in our words; others stay in the provider record alone."""


@dataclass(frozen=True, slots=True)
class ProviderRows:
    """Provider rows that were not applied yet, held for this transaction."""

    deliveries: Sequence[WebhookDelivery]
    callbacks: Sequence[CallbackEventRecord]

    def __len__(self) -> int:
        return len(self.deliveries) + len(self.callbacks)


async def take_provider_rows(session: AsyncSession, workspace_id: UUID) -> ProviderRows:
    """Return the workspace's oldest unapplied provider rows; one transaction at a time has them."""
    await repository.take_turns(session, workspace_id)
    return ProviderRows(
        await repository.unapplied_deliveries(session, workspace_id, MOST_AT_ONCE),
        await repository.unapplied_callbacks(session, workspace_id, MOST_AT_ONCE),
    )


async def apply_provider_rows(session: AsyncSession, workspace_id: UUID, rows: ProviderRows, now: datetime) -> None:
    """Apply provider rows; `now` is asked after they were taken, so that no stop is dated before its cause."""
    events: list[ProviderEvent] = [
        from_callback_event(CallbackEvent.model_validate(record.raw)) for record in rows.callbacks
    ]
    errors: dict[UUID, str | None] = {}
    for delivery in rows.deliveries:
        try:
            read = parse_delivery(delivery.body, delivery.content_type, delivery.received_at)
            events += [_storable(event) for event in read]
            errors[delivery.id] = None
        except MalformedDelivery as error:
            errors[delivery.id] = str(error)
        except RecursionError:
            errors[delivery.id] = "The webhook body is nested too deeply."
    if events:
        await _apply(session, workspace_id, events, now)
    if errors:
        await repository.mark_deliveries_applied(session, errors, now)
    if rows.callbacks:
        keys = [record.event_key for record in rows.callbacks]
        await repository.mark_callbacks_applied(session, workspace_id, keys, now)


def _storable(event: ProviderEvent) -> ProviderEvent:
    """Return an event without what Postgres cannot store: one such value would hold up all events after it."""
    return replace(
        event,
        transaction_id=_cleaned(event.transaction_id),
        message_id=_cleaned(event.message_id),
        recipient=_cleaned(event.recipient),
        data=_cleaned(event.data),
    )


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_cleaned(inner) for inner in value]
    return value


async def _apply(session: AsyncSession, workspace_id: UUID, events: Sequence[ProviderEvent], now: datetime) -> None:
    """Store events once each, then let them act: acceptance first, then what stops a lead."""
    about = await _messages(session, workspace_id, events)
    known = {event.key: event for event in events if event.type in TYPES and event.key in about}
    proved = [
        Acceptance(about[event.key].draft_id, event.transaction_id, now)
        for event in known.values()
        if about[event.key].outcome in NOT_KNOWN_TO_BE_SENT
    ]
    if any(about[key].outcome is None for key in known):
        await outcomes.claim_again(session, workspace_id, sorted({one.draft_id for one in proved}), now)
    if proved:
        await sending.accept(session, workspace_id, proved)
    delivered = await _delivery_times(session, known, about)
    rows = [_row(workspace_id, event, about[event.key], delivered) for event in known.values()]
    new = await repository.add_events(session, rows)
    fresh = [(TYPES[known[key].type], known[key], about[key]) for key in sorted(new)]
    await _act(session, workspace_id, fresh, now)


async def _messages(session: AsyncSession, workspace_id: UUID, events: Sequence[ProviderEvent]) -> dict[str, Message]:
    """Return the message each event is about, by the event's key; events about no message of ours are left out."""
    draft_ids = {event.key: draft_id for event in events if (draft_id := _draft_id(event)) is not None}
    transaction_ids = {event.transaction_id for event in events if event.transaction_id}
    by_draft, by_transaction = await repository.find_messages(
        session, workspace_id, sorted(set(draft_ids.values())), sorted(transaction_ids)
    )
    found: dict[str, Message] = {}
    for event in events:
        message = by_draft.get(draft_ids[event.key]) if event.key in draft_ids else None
        message = message or by_transaction.get(event.transaction_id or "")
        if message is not None:
            found[event.key] = message
    return found


def _draft_id(event: ProviderEvent) -> UUID | None:
    try:
        return UUID(event.message_id) if event.message_id else None
    except ValueError:
        return None


async def _delivery_times(
    session: AsyncSession, events: Mapping[str, ProviderEvent], about: Mapping[str, Message]
) -> dict[UUID, datetime]:
    """Return when messages were delivered, by what was stored before and by what arrives now."""
    times = await repository.delivery_times(session, sorted({about[key].draft_id for key in events}))
    for key, event in events.items():
        if TYPES[event.type] is EmailEventType.DELIVERED:
            times[about[key].draft_id] = event.occurred_at
    return times


def _row(
    workspace_id: UUID, event: ProviderEvent, message: Message, delivered: Mapping[UUID, datetime]
) -> dict[str, object]:
    type_ = TYPES[event.type]
    verdict = judge(
        type_,
        user_agent=event.data.get("user_agent"),
        occurred_at=event.occurred_at,
        delivered_at=delivered.get(message.draft_id),
    )
    return {
        "workspace_id": workspace_id,
        "draft_id": message.draft_id,
        "everlytic_message_id": event.transaction_id,
        "provider_event_key": event.key,
        "type": type_,
        "data": {**event.data, "kind": "failed"} if event.type == "failed" else event.data,
        "verdict": verdict.by if verdict else None,
        "verdict_rule": verdict.rule if verdict else None,
        "occurred_at": event.occurred_at,
    }


async def _act(
    session: AsyncSession,
    workspace_id: UUID,
    fresh: Sequence[tuple[EmailEventType, ProviderEvent, Message]],
    now: datetime,
) -> None:
    """Stop whom the events stop: hard bounces and complaints are suppressed, an unsubscribe is a no for good.

    Sequences that fare badly pause with it.
    """

    def leads_with(*types: EmailEventType) -> list[UUID]:
        return sorted({message.lead_id for type_, _, message in fresh if type_ in types})

    bounced = sorted(
        {
            message.lead_id
            for type_, event, message in fresh
            if type_ is EmailEventType.BOUNCED and event.type == "bounce" and event.data.get("bounce_type") != "soft"
        }
    )
    if bounced:
        await suppressions.suppress_leads(
            session, workspace_id, bounced, reason=SuppressionReason.HARD_BOUNCE, source="everlytic", at=now
        )
        await enrollments.stop_leads(
            session, workspace_id, EnrollmentEvent.HARD_BOUNCED, bounced, cause="everlytic", now=now
        )
    for types, cause in (
        ((EmailEventType.UNSUBSCRIBED,), "unsubscribed at Everlytic"),
        ((EmailEventType.COMPLAINED,), "complained"),
    ):
        await enrollments.unsubscribe_leads(session, workspace_id, leads_with(*types), cause=cause, now=now)
    alarming = {EmailEventType.BOUNCED, EmailEventType.COMPLAINED}
    await guards.check(session, workspace_id, {message.sequence_id for type_, _, message in fresh if type_ in alarming})


async def settle_unknown_sends(session: AsyncSession, workspace_id: UUID, now: datetime) -> None:
    """Record as accepted what Everlytic's transaction list, as last synced, shows of sends of unknown outcome."""
    listed = await repository.unknown_but_listed(session, workspace_id)
    if listed:
        await sending.accept(session, workspace_id, [Acceptance(*one, now) for one in listed])


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who wrote a mail, and to which address."""

    sender: str
    address: str


async def recipient_of(session: AsyncSession, link: UnsubscribeToken) -> Recipient:
    """Return to whom the mail behind an unsubscribe link went; raises NotFound."""
    found = await repository.find_recipient(session, link.workspace_id, link.lead_id, link.draft_id)
    if found is None:
        raise NotFound("The mail behind this link is not there any more.")
    return Recipient(*found)


async def unsubscribe_by_link(session: AsyncSession, link: UnsubscribeToken, now: datetime) -> Recipient:
    """Take the no of a mail's own unsubscribe link, and count it for that mail; a second one changes nothing."""
    recipient = await recipient_of(session, link)
    event = {
        "workspace_id": link.workspace_id,
        "draft_id": link.draft_id,
        "provider_event_key": f"link:{link.draft_id}",
        "type": EmailEventType.UNSUBSCRIBED,
        "data": {"by": "link"},
        "occurred_at": now,
    }
    await repository.add_events(session, [event])
    await enrollments.unsubscribe_leads(
        session, link.workspace_id, [link.lead_id], cause=f"link in draft {link.draft_id}", now=now
    )
    return recipient


async def list_events(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, wanted: EventFilter
) -> Sequence[Row[Any]]:
    """Return the workspace's events in the page's order, one more than it holds."""
    return await repository.list_events(session, workspace_id, page, wanted)


async def get_event(session: AsyncSession, workspace_id: UUID, event_id: UUID) -> Row[Any]:
    """Return an event; raises NotFound."""
    event = await repository.find_event(session, workspace_id, event_id)
    if event is None:
        raise NotFound("There is no such event.")
    return event
