"""The one function that applies what the provider told us, whichever way it arrived."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.events import repository
from api.delivery.events.judging import Judging, Known
from api.delivery.events.reading import Heard, read_rows
from api.delivery.events.repository import Message, NewEvent, StoredCallback, StoredDelivery
from api.delivery.events.schemas import EventFilter
from api.delivery.guards import service as guards
from api.delivery.sending import service as sending
from api.delivery.sending.service import Acceptance
from api.delivery.unresolved_sends import service as outcomes
from api.http.errors import NotFound
from api.http.pagination import PageRequest
from api.outreach.enrollments import service as enrollments
from api.people.suppressions import service as suppressions
from api.people.suppressions.tokens import UnsubscribeToken
from database.models import EmailEventType, SendOutcome
from domain.enrollment import EnrollmentEvent
from domain.suppression import SuppressionReason
from everlytic.webhooks import ProviderEvent

MOST_AT_ONCE, MOST_BYTES_AT_ONCE = 2000, 2 * 1024 * 1024
"""Of pushed requests and of polled events that one transaction applies, and of what was pushed."""
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

    deliveries: Sequence[StoredDelivery]
    callbacks: Sequence[StoredCallback]

    def __len__(self) -> int:
        return len(self.deliveries) + len(self.callbacks)


async def hold_intake(session: AsyncSession, workspace_id: UUID) -> None:
    """Make whoever applies from now on wait until what this transaction stores can be seen."""
    await repository.hold_intake(session, workspace_id)


async def await_intake(session: AsyncSession, workspace_id: UUID) -> None:
    """Wait until all that was being stored when this is asked can be seen, in a transaction that begins afterwards."""
    await repository.await_intake(session, workspace_id)


async def take_provider_rows(session: AsyncSession, workspace_id: UUID) -> ProviderRows:
    """Return the workspace's oldest unapplied provider rows; one transaction at a time has them."""
    await repository.take_turns(session, workspace_id)
    return ProviderRows(
        await repository.unapplied_deliveries(session, workspace_id, most=MOST_AT_ONCE, most_bytes=MOST_BYTES_AT_ONCE),
        await repository.unapplied_callbacks(session, workspace_id, most=MOST_AT_ONCE),
    )


async def apply_provider_rows(session: AsyncSession, workspace_id: UUID, rows: ProviderRows, now: datetime) -> None:
    """Apply provider rows; `now` is asked after they were taken, so that no stop is dated before its cause."""
    reading = read_rows(rows.deliveries, rows.callbacks)
    if reading.heard:
        await _apply(session, workspace_id, reading.heard, now)
    if reading.deliveries:
        await repository.mark_deliveries(session, workspace_id, reading.deliveries, now)
    if reading.callbacks:
        await repository.mark_callbacks(session, workspace_id, reading.callbacks, now)


async def _apply(session: AsyncSession, workspace_id: UUID, heard: Sequence[Heard], now: datetime) -> None:
    """Store events once each, then let them act: acceptance first, then what stops a lead, verdicts on others last."""
    known = await _known(session, workspace_id, heard)
    proved = [
        Acceptance(one.message.draft_id, one.event.transaction_id, now)
        for one in known
        if one.message.outcome in NOT_KNOWN_TO_BE_SENT
    ]
    if any(one.message.outcome is None for one in known):
        await outcomes.claim_again(session, workspace_id, sorted({one.draft_id for one in proved}), now)
    if proved:
        await sending.accept(session, workspace_id, proved)
    judging = Judging(known)
    judging.compare(await repository.judged_events(session, workspace_id, judging.draft_ids))
    new = await repository.add_events(session, workspace_id, judging.new_events())
    fresh = [(one.type, one.event, one.message) for one in judging.events if one.event.key in new]
    await _act(session, workspace_id, fresh, now)
    # Whoever erases a lead holds the lead, and then changes events: so does this.
    await repository.judge_again(session, workspace_id, judging.rejudged())


async def _known(session: AsyncSession, workspace_id: UUID, heard: Sequence[Heard]) -> list[Known]:
    """Return the events of types that count and about messages of ours, under the keys that our ids give them."""
    counting = [(one, _draft_id(one.event)) for one in heard if one.event.type in TYPES]
    named = {draft_id for _, draft_id in counting if draft_id is not None}
    by_draft = await repository.messages_by_draft(session, workspace_id, sorted(named))
    transactions = {one.event.transaction_id for one, draft_id in counting if draft_id not in by_draft}
    by_transaction = await repository.messages_by_transaction(session, workspace_id, sorted(filter(None, transactions)))
    found = []
    for one, draft_id in counting:
        message = by_draft.get(draft_id) if draft_id else None
        message = message or by_transaction.get(one.event.transaction_id or "")
        if message is not None:
            event = one.event.about(str(message.draft_id))
            found.append(Known(event, TYPES[event.type], message, one.data))
    return found


def _draft_id(event: ProviderEvent) -> UUID | None:
    try:
        return UUID(event.message_id) if event.message_id else None
    except ValueError:
        return None


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
