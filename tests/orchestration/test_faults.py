"""Polling through what a provider does wrong, in a real sandbox: the same rows land, or the tenant fails by name."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

import httpx
import psycopg
import pytest

from database.roles import connect, owner_url
from everlytic.models import Address, Mail
from orchestration.defs.everlytic.batches import Batches, Landed
from orchestration.defs.everlytic.landing import CALLBACK_EVENTS, TRANSACTIONS, Landing
from orchestration.defs.everlytic.polling import Polled, poll
from orchestration.defs.everlytic.records import Fetch, Window, fetch_callback_events, fetch_transactions
from orchestration.defs.everlytic.resources import EverlyticAccounts
from tests.business_clock import business_now
from tests.dbt_project.history import History
from tests.orchestration.conftest import SECRET_KEY, connect_tenant
from tests.sandbox import Sandbox, running_sandbox

MAILS, PAGE = 250, 100
NOW = business_now()
TODAY = Window(since=NOW - timedelta(hours=12), until=NOW + timedelta(hours=12), now=NOW)
KINDS: dict[str, tuple[Landing, Fetch]] = {
    "transactions": (TRANSACTIONS, fetch_transactions),
    "callback_events": (CALLBACK_EVENTS, fetch_callback_events),
}
EMPTY = "TRUNCATE everlytic.transactions, everlytic.callback_events"
KEYS = {
    "transactions": "SELECT transaction_id FROM everlytic.transactions ORDER BY 1",
    "callback_events": "SELECT event_key FROM everlytic.callback_events ORDER BY 1",
}


@dataclass(frozen=True)
class Desk:
    """A tenant with three pages of past at the provider, and a database to poll it into."""

    connection: psycopg.Connection
    connect: Callable[[], psycopg.Connection]
    provider: Sandbox
    workspace: UUID
    username: str

    def poll(self, kind: str, *faults: str, probability: float = 1.0, **switches: object) -> tuple[Polled, Landed]:
        """Empty the tables and poll the tenant once, with faults on its reads and switches set; then all is well."""
        landing, fetch = KINDS[kind]
        self.connection.execute(EMPTY.encode())
        struck = [{"name": name, "probability": probability, "routes": ["read"]} for name in faults]
        self.provider.tell("scenarios", username=self.username, scenarios=struck, switches=switches)
        accounts = EverlyticAccounts(secret_key=SECRET_KEY, longest_wait_seconds=1.0)
        batches = Batches(self.connect, landing, lambda _said: None, size=PAGE // 3)
        try:
            tenants = accounts.tenants(self.connection)
            (polled,) = asyncio.run(poll(accounts, tenants, fetch, TODAY, batches, lambda: NOW))
        finally:
            usual = {"list_order": "asked", "retry_after_seconds": 1, "retry_after_form": "seconds"}
            self.provider.tell("scenarios", username=self.username, scenarios=[], switches=usual)
        return polled, batches.landed

    def keys(self, kind: str) -> list[str]:
        """Return the keys of what has landed."""
        return [key for (key,) in self.connection.execute(KEYS[kind].encode()).fetchall()]

    def struck(self) -> int:
        """Return how many faults have struck the tenant so far."""
        counted: dict[str, int] = self.provider.ask("state")["tenants"][self.username]["faults"]
        return sum(counted.values())


@pytest.fixture(scope="module")
def desk(connection: psycopg.Connection, history: History, module_database_url: str) -> Iterator[Desk]:
    """Send three pages of mails, of each of which the provider then tells one event at a time of its own."""
    with running_sandbox("--seed", "1", "--start", NOW.isoformat()) as provider:
        workspace, username = history.workspace("Acme"), provider.new_username()
        connect_tenant(connection, workspace, provider, username)
        provider.tell("scenarios", username=username, scenarios=[{"name": "accepted_no_events", "probability": 1}])
        asyncio.run(_send(provider, username))
        for number in range(MAILS):
            moment = NOW - timedelta(seconds=number)
            event = {"message_id": f"message-{number}", "type": "delivered", "occurred_at": moment.isoformat()}
            provider.tell("events", username=username, **event)
        yield Desk(connection, partial(connect, owner_url(module_database_url)), provider, workspace, username)


async def _send(provider: Sandbox, username: str) -> None:
    async with httpx.AsyncClient(timeout=30) as http:
        client = provider.client(http, username)
        for number in range(MAILS):
            await client.send(
                Mail(
                    to=[Address(email=f"lead-{number}@example.test")],
                    from_=Address(email="rep@example.test"),
                    subject="Hello",
                    text="Hello",
                    message_id=f"message-{number}",
                )
            )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("faults", "probability"),
    [
        (("rate_limited",), 0.5),
        (("server_error", "unavailable"), 0.3),
        (("html_error", "firewall"), 0.3),
        (("slow",), 0.6),
        (("reset_before_accept",), 0.5),
        (("truncated_json",), 0.5),
        (("broken_off",), 0.6),
        (("repeated_rows",), 1.0),
        (("shuffled_rows",), 1.0),
        (("repeated_rows", "shuffled_rows", "truncated_json", "broken_off"), 0.3),
    ],
)
def test_the_same_rows_land_through_faults(desk: Desk, kind: str, faults: tuple[str, ...], probability: float) -> None:
    """Whatever the provider does wrong on the way, each row lands once and none is missing."""
    desk.poll(kind)
    expected, before = desk.keys(kind), desk.struck()
    assert len(expected) == MAILS
    polled, landed = desk.poll(kind, *faults, probability=probability, retry_after_seconds=0)
    assert (polled.error, polled.unreadable.total()) == (None, 0)
    assert desk.keys(kind) == expected
    assert landed.new == MAILS
    assert desk.struck() > before


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_in_no_order_is_read_to_its_end(desk: Desk, kind: str) -> None:
    """A provider that lists in an order of its own loses nobody a row to the early stop."""
    polled, _ = desk.poll(kind, list_order="shuffled")
    assert (polled.error, polled.fetched, len(desk.keys(kind))) == (None, MAILS, MAILS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("server_error", "ProviderBroken: Everlytic failed with 500"),
        ("firewall", "Unavailable: A server in front of Everlytic"),
        ("truncated_json", "UnrecognisedAnswer: Everlytic answered 200 without a JSON object"),
        ("broken_off", "ConnectionLost: The connection to Everlytic broke"),
    ],
)
def test_a_provider_that_stays_broken_fails_the_tenant_by_name(
    desk: Desk, kind: str, fault: str, sentence: str
) -> None:
    """When patience is over the tenant carries a sentence that says what the provider did."""
    polled, landed = desk.poll(kind, fault)
    assert polled.tenant.workspace_id == desk.workspace
    assert str(polled.error).startswith(sentence)
    assert (landed.rows, desk.keys(kind)) == (0, [])


@pytest.mark.parametrize("kind", KINDS)
def test_what_came_before_a_failure_stays(desk: Desk, kind: str) -> None:
    """A page that names itself as the next one fails the tenant, whose first page has landed all the same."""
    polled, landed = desk.poll(kind, "circular_pages")
    assert polled.error == "UnrecognisedAnswer: Everlytic's next link leads back to a page already read."
    assert polled.fetched > 0
    assert landed.new == len(desk.keys(kind)) == PAGE


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_long_retry_after_is_said_and_not_waited_for(desk: Desk, form: str) -> None:
    """A provider that asks for an hour gets it: one request, and a sentence with the time it may be asked again."""
    before = desk.struck()
    polled, _ = desk.poll(
        "transactions", "rate_limited", retry_after="always", retry_after_seconds=3600, retry_after_form=form
    )
    assert str(polled.error).startswith("RateLimited: Everlytic asks for fewer requests (429)")
    again = {f"{NOW + timedelta(seconds=3600 + off):%Y-%m-%d %H:%M:%S} UTC" for off in (-1, 0, 1)}
    assert any(moment in str(polled.error) for moment in again)
    assert desk.struck() == before + 1


@pytest.mark.parametrize("kind", KINDS)
def test_one_unreadable_record_costs_nobody_the_day(desk: Desk, kind: str) -> None:
    """Records without an id or that are no objects are left out and told, one that is half readable is kept whole."""
    polled, _ = desk.poll(kind, "unreadable_rows")
    pages = 3
    assert polled.error is None
    told = polled.unreadable
    assert told.total() == 4 * pages
    assert told["An item that is no object was left out."] == 2 * pages
    assert sum(times for sentence, times in told.items() if "left out" in sentence) >= 3 * pages
    kept = {"transactions": pages, "callback_events": 0}[kind]
    assert len(desk.keys(kind)) == MAILS + kept
    if kept:
        query = (
            "SELECT sent_at, opens, raw ->> 'send_date' FROM everlytic.transactions WHERE transaction_id LIKE 'odd-%'"
        )
        assert desk.connection.execute(query.encode()).fetchall() == [(None, 0, "soon")] * pages
