"""The provider's records as rows of schema everlytic: what each is called there, and texts that Postgres takes."""

import json
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from everlytic.client import EverlyticClient
from everlytic.errors import NotFound
from everlytic.protocol import Complain
from everlytic.webhooks import from_callback_event
from orchestration.defs.everlytic.batches import Row

LARGEST_COUNT = 2**31 - 1
"""What a column of counts holds."""

# A NUL as JSON writes it, after an even number of backslashes: else it is a backslash, and the text "u0000".
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked for: `since <= time < until` (business time, UTC); `now` is the business time of the asking."""

    since: datetime
    until: datetime
    now: datetime

    @property
    def today(self) -> date:
        """The business day it is now."""
        return self.now.date()


Fetch = Callable[[EverlyticClient, Window, Complain], AsyncIterator[Row]]
"""Asks one tenant's account for what lies in the window; complains of each record that it cannot wholly read."""


async def fetch_transactions(client: EverlyticClient, window: Window, complain: Complain) -> AsyncIterator[Row]:
    """The messages that Everlytic sent within the window, with what it counted on them since."""
    async for one in client.iter_transactions(since=window.since, until=window.until, complain=complain):
        yield {
            "transaction_id": as_text(one.id),
            "message_id": as_text(one.message_id),
            "group_name": as_text(one.group_name),
            "recipient": as_text(one.recipient),
            "send_status": as_text(one.status),
            "sent_at": one.sent_at,
            "opens": _count(one.opens, complain),
            "link_clicks": _count(one.clicks, complain),
            "bounce_type": as_text(one.bounce_type),
            "bounce_reason": as_text(one.bounce_reason),
            "raw": as_json(one.raw),
        }


async def fetch_callback_events(client: EverlyticClient, window: Window, complain: Complain) -> AsyncIterator[Row]:
    """What happened within the window, under the key by which the same event is pushed."""
    async for polled in client.iter_callback_events(since=window.since, until=window.until, complain=complain):
        event = from_callback_event(polled)
        yield {
            "event_key": event.key,
            "type": as_text(str(event.type)),
            "transaction_id": as_text(event.transaction_id),
            "message_id": as_text(event.message_id),
            "recipient": as_text(event.recipient),
            "group_name": as_text(event.group_name),
            # As for what is pushed: an event that does not say when it happened did so when we heard of it.
            "occurred_at": polled.occurred_at or window.now,
            "raw": as_json(polled.raw),
        }


async def fetch_campaign_reports(client: EverlyticClient, window: Window, complain: Complain) -> AsyncIterator[Row]:
    """The report of every bulk email as it stands; a report knows no past, so other days than today have none."""
    if not window.since.date() <= window.today < window.until.date():
        return
    async for email in client.iter_bulk_emails(complain=complain):
        if email.status == "composing":
            continue
        try:
            report = await client.campaign_report(email.id)
        except NotFound:
            continue
        yield {
            "email_id": as_text(email.id),
            "reported_on": window.today,
            "name": as_text(email.campaign_name or email.subject or f"Bulk email {email.id}"),
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


def as_text(text: str | None) -> str | None:
    """Return a text that Postgres takes: it knows no NUL character and no half of a surrogate pair."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def as_json(value: Mapping[str, Any]) -> str:
    """Return what the provider said as JSON that Postgres takes; a number that is none, which JSON lacks, is null."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), default=str, ensure_ascii=False)
    text = _NUL.sub(r"\1", text) if "\\u0000" in text else text
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _count(value: int, complain: Complain) -> int | None:
    if abs(value) <= LARGEST_COUNT:
        return value
    complain("An item was kept without what cannot be read: a count that is too large.")
    return None
