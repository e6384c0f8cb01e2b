"""Tests of polling a real sandbox with faults: the same rows land, or the tenant fails with an error."""

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
from orchestration.defs.everlytic.batches import BatchWriter, LandingCounts
from orchestration.defs.everlytic.landing import CALLBACK_EVENTS, TRANSACTIONS, LandingTable
from orchestration.defs.everlytic.polling import PollResult, poll_tenants
from orchestration.defs.everlytic.records import FetchRows, PollWindow, fetch_callback_events, fetch_transactions
from orchestration.defs.everlytic.resources import EverlyticAccounts
from tests.business_clock import business_now
from tests.dbt_project.history import History
from tests.orchestration.conftest import SECRET_KEY, connect_tenant
from tests.sandbox import Sandbox, running_sandbox

MAILS, PAGE = 250, 100
NOW = business_now()
TODAY = PollWindow(since=NOW - timedelta(hours=12), until=NOW + timedelta(hours=12), now=NOW)
KINDS: dict[str, tuple[LandingTable, FetchRows]] = {
    "transactions": (TRANSACTIONS, fetch_transactions),
    "callback_events": (CALLBACK_EVENTS, fetch_callback_events),
}
EMPTY = "TRUNCATE everlytic.transactions, everlytic.callback_events"
KEYS = {
    "transactions": "SELECT transaction_id FROM everlytic.transactions ORDER BY 1",
    "callback_events": "SELECT event_key FROM everlytic.callback_events ORDER BY 1",
}


@dataclass(frozen=True)
class PolledTenant:
    """A tenant with three pages of records at the provider, and a database to poll it into."""

    connection: psycopg.Connection
    connect: Callable[[], psycopg.Connection]
    provider: Sandbox
    workspace: UUID
    username: str

    def poll(
        self, kind: str, *faults: str, probability: float = 1.0, **switches: object
    ) -> tuple[PollResult, LandingCounts]:
        """Empty the tables and poll the tenant once, with these faults and switches, which are reset afterwards."""
        table, fetch = KINDS[kind]
        self.connection.execute(EMPTY.encode())
        scenarios = [{"name": name, "probability": probability, "routes": ["read"]} for name in faults]
        self.provider.tell("scenarios", username=self.username, scenarios=scenarios, switches=switches)
        accounts = EverlyticAccounts(secret_key=SECRET_KEY, allowed_networks=["127.0.0.0/8"], max_wait_seconds=1.0)
        batches = BatchWriter(self.connect, table, lambda _message: None, size=PAGE // 3)
        try:
            tenants = accounts.load_tenants(self.connection)
            (result,) = asyncio.run(poll_tenants(accounts, tenants, fetch, TODAY, batches, lambda: NOW))
        finally:
            defaults = {"list_order": "requested", "retry_after_seconds": 1, "retry_after_form": "seconds"}
            self.provider.tell("scenarios", username=self.username, scenarios=[], switches=defaults)
        return result, batches.counts

    def landed_keys(self, kind: str) -> list[str]:
        """Return the keys of the rows that have landed."""
        return [key for (key,) in self.connection.execute(KEYS[kind].encode()).fetchall()]

    def count_faults(self) -> int:
        """Return how many faults the sandbox has injected for the tenant so far."""
        faults: dict[str, int] = self.provider.ask("state")["tenants"][self.username]["faults"]
        return sum(faults.values())


@pytest.fixture(scope="module")
def tenant(connection: psycopg.Connection, history: History, module_database_url: str) -> Iterator[PolledTenant]:
    """Send three pages of mails, and create one event for each, at a different time."""
    with running_sandbox("--seed", "1", "--start", NOW.isoformat()) as provider:
        workspace, username = history.add_workspace("Acme"), provider.new_username()
        connect_tenant(connection, workspace, provider, username)
        provider.tell("scenarios", username=username, scenarios=[{"name": "accepted_no_events", "probability": 1}])
        asyncio.run(_send(provider, username))
        for number in range(MAILS):
            occurred_at = (NOW - timedelta(seconds=number)).isoformat()
            event = {"message_id": f"message-{number}", "type": "delivered", "occurred_at": occurred_at}
            provider.tell("events", username=username, **event)
        yield PolledTenant(connection, partial(connect, owner_url(module_database_url)), provider, workspace, username)


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
def test_the_same_rows_land_in_spite_of_faults(
    tenant: PolledTenant, kind: str, faults: tuple[str, ...], probability: float
) -> None:
    """With each kind of fault every row lands once and none is missing."""
    tenant.poll(kind)
    expected, faults_before = tenant.landed_keys(kind), tenant.count_faults()
    assert len(expected) == MAILS
    result, counts = tenant.poll(kind, *faults, probability=probability, retry_after_seconds=0)
    assert (result.error, result.unreadable.total()) == (None, 0)
    assert tenant.landed_keys(kind) == expected
    assert counts.new_rows == MAILS
    assert tenant.count_faults() > faults_before


@pytest.mark.parametrize("kind", KINDS)
def test_an_unordered_list_is_read_to_its_end(tenant: PolledTenant, kind: str) -> None:
    """If the provider lists in another order than requested, no row is lost to the early stop."""
    result, _ = tenant.poll(kind, list_order="shuffled")
    assert (result.error, result.fetched, len(tenant.landed_keys(kind))) == (None, MAILS, MAILS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("server_error", "Everlytic failed with 500"),
        ("firewall", "A firewall in front of Everlytic"),
        ("truncated_json", "Everlytic answered 200 without a JSON object"),
        ("broken_off", "The connection to Everlytic broke"),
    ],
)
def test_a_broken_provider_fails_the_tenant(tenant: PolledTenant, kind: str, fault: str, sentence: str) -> None:
    """After the last retry the tenant's error says what the provider did, and nothing has landed."""
    result, counts = tenant.poll(kind, fault)
    assert result.tenant.workspace_id == tenant.workspace
    assert str(result.error).startswith(sentence)
    assert (counts.rows, tenant.landed_keys(kind)) == (0, [])


@pytest.mark.parametrize("kind", KINDS)
def test_rows_landed_before_a_failure_stay(tenant: PolledTenant, kind: str) -> None:
    """A page whose next link leads to itself fails the tenant, but its first page has landed."""
    result, counts = tenant.poll(kind, "circular_pages")
    assert result.error == "Everlytic's next link points to a page that was already read."
    assert result.fetched > 0
    assert counts.new_rows == len(tenant.landed_keys(kind)) == PAGE


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_long_retry_after_is_reported_and_not_waited_for(tenant: PolledTenant, form: str) -> None:
    """With a Retry-After of an hour there is one request, and the error says when the tenant can be polled again."""
    faults_before = tenant.count_faults()
    result, _ = tenant.poll(
        "transactions", "rate_limited", retry_after="always", retry_after_seconds=3600, retry_after_form=form
    )
    assert str(result.error).startswith("Everlytic asks for fewer requests (429)")
    retry_times = {f"{NOW + timedelta(seconds=3600 + offset):%Y-%m-%d %H:%M:%S} UTC" for offset in (-1, 0, 1)}
    assert any(time in str(result.error) for time in retry_times)
    assert tenant.count_faults() == faults_before + 1


@pytest.mark.parametrize("kind", KINDS)
def test_unreadable_records_do_not_fail_the_tenant(tenant: PolledTenant, kind: str) -> None:
    """Records without an id, or that are not objects, are left out and reported; one with bad fields lands."""
    result, _ = tenant.poll(kind, "unreadable_rows")
    pages = 3
    assert result.error is None
    problems = result.unreadable
    assert problems.total() == 4 * pages
    assert problems["Skipped an item that is not an object."] == 2 * pages
    assert sum(count for problem, count in problems.items() if problem.startswith("Skipped")) >= 3 * pages
    odd_rows = {"transactions": pages, "callback_events": 0}[kind]
    assert len(tenant.landed_keys(kind)) == MAILS + odd_rows
    if odd_rows:
        query = (
            "SELECT sent_at, opens, raw ->> 'send_date' FROM everlytic.transactions WHERE transaction_id LIKE 'odd-%'"
        )
        assert tenant.connection.execute(query.encode()).fetchall() == [(None, 0, "soon")] * pages
