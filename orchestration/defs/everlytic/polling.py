"""Asking Everlytic, tenant by tenant: what one asset wants of one tenant, and what becomes of a tenant that fails."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from database.errors import DatabaseError
from everlytic.client import EverlyticClient
from everlytic.errors import EverlyticError, NotFound, OutcomeUnknown
from everlytic.webhooks import from_callback_event
from orchestration.defs.everlytic.resources import EverlyticAccounts, Tenant

TENANTS_AT_ONCE = 8
TRIES = 3
"""How often a listing is begun anew when an answer could not be read; what came twice is landed once."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked for: `since <= time < until` (business time, UTC); `today` is the business day it is now."""

    since: datetime
    until: datetime
    today: date


@dataclass(slots=True)
class Polled:
    """One tenant's answer: its rows, or the sentence that says why there are none."""

    tenant: Tenant
    rows: list[Row] = field(default_factory=list)
    error: str | None = None


Fetch = Callable[[EverlyticClient, Window], AsyncIterator[Row]]


async def poll(accounts: EverlyticAccounts, tenants: Sequence[Tenant], fetch: Fetch, window: Window) -> list[Polled]:
    """Ask every tenant's account; a tenant that fails carries its error, the others are not touched by it."""
    turn = asyncio.Semaphore(TENANTS_AT_ONCE)

    async def ask(tenant: Tenant) -> Polled:
        async with turn:
            try:
                return Polled(tenant, await _rows(accounts, tenant, fetch, window))
            except (EverlyticError, DatabaseError) as error:
                return Polled(tenant, error=f"{type(error).__name__}: {error}")

    return list(await asyncio.gather(*(ask(tenant) for tenant in tenants)))


async def _rows(accounts: EverlyticAccounts, tenant: Tenant, fetch: Fetch, window: Window) -> list[Row]:
    async with accounts.client(tenant) as client:
        for attempt in range(1, TRIES + 1):
            try:
                return [{"workspace_id": str(tenant.workspace_id), **row} async for row in fetch(client, window)]
            except OutcomeUnknown:
                if attempt == TRIES:
                    raise
    raise AssertionError


async def fetch_transactions(client: EverlyticClient, window: Window) -> AsyncIterator[Row]:
    """The messages that Everlytic sent within the window, with what it counted on them since."""
    async for one in client.iter_transactions(since=window.since, until=window.until):
        yield {
            "transaction_id": one.id,
            "message_id": one.message_id,
            "group_name": one.group_name,
            "recipient": one.recipient,
            "send_status": one.status,
            "sent_at": one.sent_at,
            "opens": one.opens,
            "link_clicks": one.clicks,
            "bounce_type": one.bounce_type,
            "bounce_reason": one.bounce_reason,
            "raw": as_json(one.raw),
        }


async def fetch_callback_events(client: EverlyticClient, window: Window) -> AsyncIterator[Row]:
    """What happened within the window, under the key by which the same event is pushed."""
    async for polled in client.iter_callback_events(since=window.since, until=window.until):
        event = from_callback_event(polled)
        yield {
            "event_key": event.key,
            "type": str(event.type),
            "transaction_id": event.transaction_id,
            "message_id": event.message_id,
            "recipient": event.recipient,
            "group_name": event.group_name,
            "occurred_at": event.occurred_at,
            "raw": as_json(polled.raw),
        }


async def fetch_campaign_reports(client: EverlyticClient, window: Window) -> AsyncIterator[Row]:
    """The report of every bulk email as it stands; a report knows no past, so other days than today have none."""
    if not window.since.date() <= window.today < window.until.date():
        return
    async for email in client.iter_bulk_emails():
        if email.status == "composing":
            continue
        try:
            report = await client.campaign_report(email.id)
        except NotFound:
            continue
        yield {
            "email_id": email.id,
            "reported_on": window.today,
            "name": email.campaign_name or email.subject or f"Bulk email {email.id}",
            "raw": as_json(
                {
                    "status": email.status,
                    "created_at": email.created_at and email.created_at.isoformat(),
                    "sent_at": email.sent_at and email.sent_at.isoformat(),
                    "figures": report.model_dump(exclude={"email_id", "raw"}),
                    "email": email.raw,
                    "report": report.raw,
                }
            ),
        }


def as_json(value: Mapping[str, Any]) -> str:
    """Return what the provider said as JSON that Postgres takes: it knows no NUL character."""
    return json.dumps(value, default=str).replace("\\u0000", "")
