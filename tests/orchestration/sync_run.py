"""Fixture: one sync and build in process against a real sandbox, shared by the tests of a module."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import dagster as dg
import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from everlytic.models import Address, Mail
from orchestration.defs.operations.lookback import Lookback
from orchestration.defs.operations.resources import Database
from orchestration.run import RunReport, sync_and_build
from tests.dbt_project.history import History
from tests.orchestration.conftest import MORNING, SECRET_KEY, connect_tenant
from tests.sandbox import Sandbox

SENT = MORNING - timedelta(hours=1)
SINCE, UNTIL = SENT.date() - timedelta(days=1), SENT.date()
MAILS = 4
EVENT_TYPES = ("sent", "delivered", "open")
"""The events of every mail; the first mail also has a click."""

APPLY = """
    INSERT INTO app.email_events (workspace_id, draft_id, provider_event_key, type, verdict, occurred_at)
    SELECT workspace_id, message_id::uuid, event_key,
           CASE type WHEN 'open' THEN 'opened' WHEN 'click' THEN 'clicked' ELSE type END,
           CASE WHEN type IN ('open', 'click') THEN 'human' END, occurred_at
    FROM everlytic.callback_events ON CONFLICT DO NOTHING
"""
"""The effect of the worker's apply_provider_events on the marts."""


@dataclass(frozen=True)
class SyncRun:
    """Two tenants, one of them with a wrong API key, after one run."""

    good: UUID
    bad: UUID
    sequence: UUID
    username: str
    messages: list[UUID]
    report: RunReport
    instance: dg.DagsterInstance

    def metadata(self, resource: str) -> Any:
        """Return the metadata of an asset's newest materialisation."""
        event = self.instance.get_latest_materialization_event(dg.AssetKey(["everlytic", resource]))
        assert event is not None
        assert event.asset_materialization is not None
        return event.asset_materialization.metadata


@pytest.fixture(scope="module")
def environment(business_clock: str) -> Iterator[None]:
    """Set the business clock in the environment, as the command line does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALESMATTER_CLOCK", business_clock)
        yield


@pytest.fixture(scope="module")
def sync_run(
    history: History, connection: psycopg.Connection, provider: Sandbox, module_database_url: str, environment: None
) -> Iterator[SyncRun]:
    """Send the mails of the history through the sandbox, create their events there, and run once."""
    good, bad = history.add_workspace("Good"), history.add_workspace("Bad")
    username = provider.new_username()
    connect_tenant(connection, good, provider, username)
    connect_tenant(connection, bad, provider, "unknown-user", "wrong key")
    sequence = history.add_sequence(good)
    messages = [history.add_sent_message(sequence, SENT) for _ in range(MAILS)]
    provider.tell("scenarios", username=username, scenarios=[{"name": "accepted_no_events", "probability": 1}])
    asyncio.run(send(provider, username, sequence, messages))
    for message in messages:
        for kind in EVENT_TYPES:
            provider.tell("events", username=username, message_id=str(message), type=kind)
    provider.tell("events", username=username, message_id=str(messages[0]), type="click")
    send_bulk_email(provider, username)
    with dg.DagsterInstance.ephemeral() as instance:
        report = run(module_database_url, instance)
        yield SyncRun(good, bad, sequence, username, messages, report, instance)


def run(database_url: str, instance: dg.DagsterInstance | None = None, *, poll: bool = True) -> RunReport:
    """Run once over the days of the mails and their events."""
    return sync_and_build(
        database_url=database_url, secret_key=SECRET_KEY, since=SINCE, until=UNTIL, instance=instance, poll=poll
    )


async def send(provider: Sandbox, username: str, sequence: UUID, messages: list[UUID]) -> None:
    """Send the messages to the sandbox, as the product would."""
    async with httpx.AsyncClient(timeout=30) as http:
        client = provider.client(http, username)
        for number, message in enumerate(messages):
            await client.send(
                Mail(
                    to=[Address(email=f"lead-{number + 1}@example.test")],
                    from_=Address(email="rep@example.test"),
                    subject="Hello",
                    html='<p>Hello</p><a href="https://example.test/offer">see</a>',
                    message_id=str(message),
                    group_name=str(sequence),
                )
            )


def send_bulk_email(provider: Sandbox, username: str) -> None:
    """Send one bulk email and leave another in status composing, as a user does in Everlytic's web pages."""
    with httpx.Client(base_url=f"{provider.url}/api/2.0", auth=(username, f"sandbox-key-{username}")) as http:
        for name in ("News", "Not yet"):
            email = {"campaign_name": name, "subject": name, "from_email": "rep@example.test"}
            email_id = http.post("/emails", json=email).raise_for_status().json()["item"]["id"]
            if name == "News":
                http.post(f"/email_actions/send/{email_id}").raise_for_status()


def fetch(connection: psycopg.Connection, query: str, *values: object) -> list[dict[str, Any]]:
    """Return the rows of a query by column name."""
    return connection.cursor(row_factory=dict_row).execute(query.encode(), values).fetchall()


def evaluate(check: dg.AssetChecksDefinition, database: Database, days: int = 0) -> dg.AssetCheckResult:
    """Evaluate one check outside a run, over all rows or over the last days."""
    result = check(database, Lookback(days=days))
    assert isinstance(result, dg.AssetCheckResult)
    return result
