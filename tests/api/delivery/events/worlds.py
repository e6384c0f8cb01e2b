"""Mails that were sent, what a provider tells of them by either feed, and what was made of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from api.delivery.events import service
from api.delivery.events.repository import Delivery
from api.http.resources import Services
from database.tenancy import Scope, transaction

SENT_AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
ADDRESS = "thandi@lead.example"

_SENT = """
WITH sequence AS (
  INSERT INTO app.sequences (workspace_id, name, status) VALUES (%(workspace)s, 'Spring', 'Active') RETURNING id
),
step AS (
  INSERT INTO app.sequence_steps (workspace_id, sequence_id, step_order)
  SELECT %(workspace)s, id, 1 FROM sequence RETURNING id, sequence_id
),
lead AS (
  INSERT INTO app.leads (workspace_id, email, status)
  SELECT %(workspace)s, gen_random_uuid() || '@lead.example', 'Contacted' FROM generate_series(1, %(number)s)
  RETURNING id
),
enrolled AS (
  INSERT INTO app.lead_enrollments (workspace_id, lead_id, sequence_id, current_step_order, enrolled_at)
  SELECT %(workspace)s, lead.id, sequence_id, 1, %(at)s FROM lead, step RETURNING id, lead_id
),
draft AS (
  INSERT INTO app.email_drafts (workspace_id, lead_id, enrollment_id, sequence_id, step_id, step_order, status, sent_at)
  SELECT %(workspace)s, lead_id, enrolled.id, sequence_id, step.id, 1, 'sent', %(at)s FROM enrolled, step RETURNING id
),
attempt AS (
  INSERT INTO app.send_attempts (workspace_id, draft_id, claimed_at, outcome, everlytic_transaction_id, recorded_at)
  SELECT %(workspace)s, id, %(at)s, 'accepted', 'tx-' || id, now() FROM draft
)
SELECT id FROM draft
"""


def pushed(type_: str, draft_id: UUID | None, second: float, *, id_: str = "1", **data: object) -> bytes:
    """A standard payload of an event so many seconds after the mails were sent; without a draft id it names no mail.

    `transaction_id` in `data` is the transaction's.
    """
    transaction: dict[str, object] = {"id": data.pop("transaction_id", f"tx-{draft_id}")}
    if draft_id is not None:
        transaction["message_id"] = str(draft_id)
    record = {"transaction": transaction, "recipient": {"email": ADDRESS}, **data}
    moment = (SENT_AT + timedelta(seconds=second)).isoformat()
    return json.dumps({"id": id_, "type": type_, "timestamp": moment, "data": [record]}).encode()


def polled(type_: str, draft_id: UUID, second: float, **data: object) -> dict[str, object]:
    """The same event as an item of the polled list, which knows whole seconds only."""
    return {
        "event_id": "5f0000000000000000000001",
        "event_date": int((SENT_AT + timedelta(seconds=second)).timestamp()),
        "event_type": type_,
        "email_to": ADDRESS,
        "custom_headers": {"X-SalesMatter-Draft": [str(draft_id)]},
        "trans_id": f"tx-{draft_id}",
        **data,
    }


@dataclass(frozen=True, slots=True)
class Provider:
    """What Everlytic tells a workspace, stored as the doors store it, and applied as the worker does."""

    services: Services
    workspace_id: UUID
    database_url: str

    async def send(self, number: int = 1) -> list[UUID]:
        """Make so many mails that were sent and accepted; returns their drafts."""
        values = {"workspace": self.workspace_id, "number": number, "at": SENT_AT}
        return [draft_id for (draft_id,) in await self.ask(_SENT, values)]

    def now(self) -> datetime:
        """Return the business time, or a day after the mails were sent if that is later: no event arrives before."""
        return max(self.services.clock.now(), SENT_AT + timedelta(days=1))

    async def push(self, *bodies: bytes, content_type: str = "application/json") -> None:
        """Store pushed bodies."""
        deliveries = [Delivery(content_type, body, self.now()) for body in bodies]
        async with transaction(self.services.pool, Scope(workspace_id=self.workspace_id)) as session:
            await service.store_deliveries(session, self.workspace_id, deliveries)

    async def poll(self, *records: object, at: datetime | None = None) -> None:
        """Land polled records, or the JSON text of one, under keys of their own; `at` is the business time then."""
        for record in records:
            await self.ask(
                "INSERT INTO everlytic.callback_events (workspace_id, event_key, type, occurred_at, raw)"
                " VALUES (%s, gen_random_uuid()::text, 'x', %s, %s) RETURNING 1",
                [self.workspace_id, at or self.now(), record if isinstance(record, str) else json.dumps(record)],
            )

    async def apply(self) -> None:
        """Apply what is there, in one transaction."""
        async with transaction(self.services.pool, Scope(workspace_id=self.workspace_id)) as session:
            rows = await service.lock_provider_rows(session, self.workspace_id)
            await service.apply_provider_rows(session, self.workspace_id, rows, self.now())

    async def events(self, draft_id: UUID) -> list[dict[str, Any]]:
        """Return what is known of a mail, in the order in which it happened."""
        rows = await self.ask(
            "SELECT type, extract(epoch FROM date_trunc('second', occurred_at) - %s)::int, data, verdict_rule"
            "  FROM app.email_events WHERE draft_id = %s ORDER BY 2, type, data ->> 'link_url'",
            [SENT_AT, draft_id],
        )
        return [dict(zip(("type", "second", "data", "rule"), row, strict=True)) for row in rows]

    async def rules(self, draft_id: UUID) -> list[tuple[str, int, str | None]]:
        """Return by which rules the opens and clicks of a mail were judged: type, second, rule."""
        acts = {"opened", "clicked"}
        return [(one["type"], one["second"], one["rule"]) for one in await self.events(draft_id) if one["type"] in acts]

    async def errors(self) -> list[str | None]:
        """Return what was wrong with the provider rows, in the order they came; raises if one was not applied."""
        rows = await self.ask(
            "SELECT applied_at IS NOT NULL, error FROM everlytic.webhook_deliveries"
            " UNION ALL SELECT applied_at IS NOT NULL, error FROM everlytic.callback_events",
            [],
        )
        assert all(is_applied for is_applied, _ in rows)
        return [error for _, error in rows]

    async def ask(self, statement: str, values: Sequence[object] | dict[str, object]) -> list[tuple[Any, ...]]:
        """Run a statement as the owner and return its rows."""
        async with await psycopg.AsyncConnection.connect(self.database_url) as owner:
            return await (await owner.execute(statement.encode(), values)).fetchall()
