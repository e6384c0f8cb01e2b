"""Maps Everlytic's records to rows of schema everlytic, with text and JSON that Postgres can store."""

import json
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from domain.bounce import classify_bounce
from domain.storable_text import remove_unstorable
from everlytic.client import EverlyticClient
from everlytic.errors import NotFound
from everlytic.models import ProviderEventType
from everlytic.protocol import ReportUnreadable
from everlytic.webhooks import parse_callback_event
from orchestration.defs.everlytic.batches import Row

MAX_COUNT = 2**31 - 1
"""The largest value of an integer column."""

_BOUNCES = frozenset({ProviderEventType.BOUNCE, ProviderEventType.FAILED})
# JSON's escape for NUL: an even number of backslashes precedes it. After an odd number it is the text "u0000".
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


@dataclass(frozen=True, slots=True)
class PollWindow:
    """The polled range `since <= time < until`, and `now`, the time of the poll; all in business time, UTC."""

    since: datetime
    until: datetime
    now: datetime

    @property
    def today(self) -> date:
        """The current business day."""
        return self.now.date()


FetchRows = Callable[[EverlyticClient, PollWindow, ReportUnreadable], AsyncIterator[Row]]
"""Fetches one tenant's rows in the window, and reports each record that could not be read in full."""


async def fetch_transactions(
    client: EverlyticClient, window: PollWindow, report_unreadable: ReportUnreadable
) -> AsyncIterator[Row]:
    """Fetch the messages that Everlytic sent in the window, with their current counts."""
    async for transaction in client.iter_transactions(
        since=window.since, until=window.until, report_unreadable=report_unreadable
    ):
        yield {
            "transaction_id": to_postgres_text(transaction.id),
            "message_id": to_postgres_text(transaction.message_id),
            "group_name": to_postgres_text(transaction.group_name),
            "recipient": to_postgres_text(transaction.recipient),
            "send_status": to_postgres_text(transaction.status),
            "sent_at": transaction.sent_at,
            "opens": _storable_count(transaction.opens, report_unreadable),
            "link_clicks": _storable_count(transaction.clicks, report_unreadable),
            "bounce_type": to_postgres_text(transaction.bounce_type),
            "bounce_reason": to_postgres_text(transaction.bounce_reason),
            "raw": to_postgres_json(transaction.raw),
        }


async def fetch_callback_events(
    client: EverlyticClient, window: PollWindow, report_unreadable: ReportUnreadable
) -> AsyncIterator[Row]:
    """Fetch the events of the window, under the same key as in the webhook."""
    async for callback_event in client.iter_callback_events(
        since=window.since, until=window.until, report_unreadable=report_unreadable
    ):
        event = parse_callback_event(callback_event)
        yield {
            "event_key": event.key,
            "type": to_postgres_text(str(event.type)),
            "transaction_id": to_postgres_text(event.transaction_id),
            "message_id": to_postgres_text(event.message_id),
            "recipient": to_postgres_text(event.recipient),
            "group_name": to_postgres_text(event.group_name),
            # As for webhooks: an event without a time gets the time at which we received it.
            "occurred_at": callback_event.occurred_at or window.now,
            "raw": to_postgres_json(callback_event.raw),
            "bounce_kind": classify_bounce(event.data).value if event.type in _BOUNCES else None,
        }


async def fetch_campaign_reports(
    client: EverlyticClient, window: PollWindow, report_unreadable: ReportUnreadable
) -> AsyncIterator[Row]:
    """Fetch the current report of every bulk email; Everlytic keeps no past reports, so other days have none."""
    if not window.since.date() <= window.today < window.until.date():
        return
    async for email in client.iter_bulk_emails(report_unreadable=report_unreadable):
        if email.status == "composing":
            continue
        try:
            report = await client.get_campaign_report(email.id)
        except NotFound:
            continue
        yield {
            "email_id": to_postgres_text(email.id),
            "reported_on": window.today,
            "name": to_postgres_text(email.campaign_name or email.subject or f"Bulk email {email.id}"),
            "raw": to_postgres_json(
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


def to_postgres_text(text: str | None) -> str | None:
    """Return the text without NUL characters and with lone surrogates replaced, which Postgres cannot store."""
    return None if text is None else remove_unstorable(text)


def to_postgres_json(value: Mapping[str, Any]) -> str:
    """Return the value as JSON that Postgres can store; NaN and infinite numbers, which JSON lacks, become null."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_replace_non_finite(value), default=str, ensure_ascii=False)
    text = _ESCAPED_NUL.sub(r"\1", text) if "\\u0000" in text else text
    return remove_unstorable(text)


def _replace_non_finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _replace_non_finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_non_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _storable_count(value: int, report_unreadable: ReportUnreadable) -> int | None:
    if abs(value) <= MAX_COUNT:
        return value
    report_unreadable("Kept an item without a count that is too large.")
    return None
