"""Tests of which tenants are polled, how many at once, and what happens when one fails."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from database.roles import connect, owner_url
from database.secrets import SecretBox
from everlytic import errors
from everlytic.client import EverlyticClient
from everlytic.protocol import ReportUnreadable
from orchestration.defs.everlytic.batches import BatchWriter, Row
from orchestration.defs.everlytic.landing import TRANSACTIONS
from orchestration.defs.everlytic.polling import PollResult, poll_tenants
from orchestration.defs.everlytic.records import FetchRows, PollWindow
from orchestration.defs.everlytic.resources import EverlyticAccounts, Tenant
from tests.dbt_project.history import History
from tests.orchestration.conftest import SECRET_KEY
from tests.virtual_time import run_in_virtual_time, seconds_now

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
WINDOW = PollWindow(NOW, NOW, NOW)
URL = "https://provider.example"
NO_ROWS: tuple[Row, ...] = ()
RESPONSE_SECONDS = 1.0
"""Virtual seconds that a tenant takes to answer."""


def make_tenants(*keys: str, url: str | None = None) -> list[Tenant]:
    """Return a tenant for each encrypted key, each with a host of its own unless a URL is given."""
    return [
        Tenant(UUID(int=number), f"T{number}", URL, url or f"https://t{number}.example", "u", key)
        for number, key in enumerate(keys)
    ]


def encrypt_key() -> str:
    """Return an API key as it is stored."""
    return SecretBox(SECRET_KEY).encrypt("key")


def refuse_connection() -> psycopg.Connection:
    """Fail the test if the database is used."""
    raise AssertionError


def poll(tenants: list[Tenant], fetch: FetchRows, poll_seconds: float = 900.0) -> list[PollResult]:
    """Poll the tenants in virtual time, without landing a row."""
    batches = BatchWriter(refuse_connection, TRANSACTIONS, lambda _message: None)
    accounts = EverlyticAccounts(secret_key=SECRET_KEY, poll_seconds=poll_seconds)
    return run_in_virtual_time(poll_tenants(accounts, tenants, fetch, WINDOW, batches, lambda: NOW))


def fail_with(error: Exception) -> FetchRows:
    """Return a fetch that fails before its first row."""

    async def fetch(
        _client: EverlyticClient, _window: PollWindow, _report_unreadable: ReportUnreadable
    ) -> AsyncIterator[Row]:
        for row in NO_ROWS:
            yield row
        raise error

    return fetch


@pytest.mark.parametrize(("count", "started_at"), [(7, [0.0] * 7), (8, [0.0] * 8), (9, [0.0] * 8 + [1.0])])
def test_eight_tenants_are_polled_at_once(count: int, started_at: list[float]) -> None:
    """If each tenant takes a second, the first eight start together and the ninth when one of them has ended."""
    starts: list[float] = []

    async def fetch(
        _client: EverlyticClient, _window: PollWindow, _report_unreadable: ReportUnreadable
    ) -> AsyncIterator[Row]:
        starts.append(seconds_now())
        await asyncio.sleep(RESPONSE_SECONDS)
        for row in NO_ROWS:
            yield row

    assert [result.error for result in poll(make_tenants(*[encrypt_key()] * count), fetch)] == [None] * count
    assert starts == started_at


@pytest.mark.parametrize(("count", "started_at"), [(3, [0.0] * 3), (4, [0.0] * 4), (5, [0.0] * 4 + [1.0])])
def test_a_slow_host_does_not_delay_the_tenants_of_others(count: int, started_at: list[float]) -> None:
    """Four tenants of a host are polled at once, and tenants of other hosts start meanwhile."""
    starts: dict[str, list[float]] = {"slow": [], "other": []}

    async def fetch(
        client: EverlyticClient, _window: PollWindow, _report_unreadable: ReportUnreadable
    ) -> AsyncIterator[Row]:
        host = "slow" if "slow.example" in repr(client) else "other"
        starts[host].append(seconds_now())
        await asyncio.sleep(RESPONSE_SECONDS if host == "slow" else 0.0)
        for row in NO_ROWS:
            yield row

    slow = make_tenants(*[encrypt_key()] * count, url="https://slow.example")
    results = poll([*slow, *make_tenants(*[encrypt_key()] * 4)], fetch)
    assert [result.error for result in results] == [None] * (count + 4)
    assert starts == {"slow": started_at, "other": [0.0] * 4}


@pytest.mark.parametrize(("poll_seconds", "polled"), [(0.9, 4), (1.0, 8), (1.1, 8)])
def test_a_run_polls_no_further_tenant_after_its_time(poll_seconds: float, polled: int) -> None:
    """Tenants that wait for their host longer than the time of the run fail, with the reason."""

    async def fetch(
        _client: EverlyticClient, _window: PollWindow, _report_unreadable: ReportUnreadable
    ) -> AsyncIterator[Row]:
        await asyncio.sleep(RESPONSE_SECONDS)
        for row in NO_ROWS:
            yield row

    tenants = make_tenants(*[encrypt_key()] * 9, url="https://slow.example")
    results = poll(tenants, fetch, poll_seconds)
    assert [result.error is None for result in results] == [True] * polled + [False] * (9 - polled)
    assert "other tenants of its host took too long" in str(results[-1].error)


def test_an_undecipherable_key_fails_only_its_tenant() -> None:
    """A key encrypted with another secret, or an invalid one, is an error of its tenant; other tenants are polled."""
    polls: list[int] = []

    async def fetch(
        _client: EverlyticClient, _window: PollWindow, _report_unreadable: ReportUnreadable
    ) -> AsyncIterator[Row]:
        polls.append(1)
        for row in NO_ROWS:
            yield row

    keys = [encrypt_key(), SecretBox("another").encrypt("key"), "no secret", encrypt_key()]
    results = poll(make_tenants(*keys), fetch)
    assert [result.tenant.name for result in results] == ["T0", "T1", "T2", "T3"]
    assert [result.error is None for result in results] == [True, False, False, True]
    assert all("cannot be decrypted" in str(result.error) for result in results[1:3])
    assert len(polls) == 2


@pytest.mark.parametrize("error", [RuntimeError("ours"), psycopg.OperationalError("away")])
def test_an_error_on_our_side_ends_the_sync(error: Exception) -> None:
    """An error that is not the provider's is raised itself, not in an exception group."""
    with pytest.raises(type(error)) as caught:
        poll(make_tenants(encrypt_key(), encrypt_key()), fail_with(error))
    assert caught.value is error


YEAR = 366 * 86_400


@pytest.mark.parametrize(
    ("retry_after", "sentence"),
    [
        (None, ""),
        (0.0, " It can be polled again in 0 s, at 2026-03-02 09:00:00 UTC."),
        (1.0, " It can be polled again in 1 s, at 2026-03-02 09:00:01 UTC."),
        (YEAR - 1.0, " It can be polled again in 31,622,399 s, at 2027-03-03 08:59:59 UTC."),
        (float(YEAR), " It can be polled again in 31,622,400 s, at 2027-03-03 09:00:00 UTC."),
        (YEAR + 1.0, " It can be polled again in 31,622,401 s, at 2027-03-03 09:00:00 UTC."),
        (1e20, " It can be polled again in 100,000,000,000,000,000,000 s, at 2027-03-03 09:00:00 UTC."),
    ],
)
def test_the_error_says_when_the_tenant_can_be_polled_again(retry_after: float | None, sentence: str) -> None:
    """The seconds are those of the provider, the date is at most 366 days ahead."""
    error = errors.RateLimited("Wait.", retry_after=retry_after)
    (result,) = poll(make_tenants(encrypt_key()), fail_with(error))
    assert result.error == f"Wait.{sentence}"


def test_only_enabled_connections_of_existing_workspaces_are_polled(database_url: str) -> None:
    """A disabled connection, a deleted workspace and one without a connection are left out; others come in id order."""
    with connect(owner_url(database_url)) as connection:
        history = History(connection)
        workspaces = {name: history.add_workspace(name) for name in ("A", "disabled", "B", "deleted", "none")}

        def execute(statement: str, *values: Any) -> None:
            connection.execute(statement.encode(), values)

        for name, workspace in workspaces.items():
            if name != "none":
                execute(
                    "INSERT INTO app.everlytic_connections (workspace_id, transactional_url, tenant_url, username, "
                    "encrypted_key, webhook_token_hash, encrypted_webhook_password) "
                    "VALUES (%s, %s, %s, %s, %s, %s, '')",
                    *(workspace, "v1", "tenant", f"user of {name}", f"key of {name}", name),
                )
        execute("UPDATE app.everlytic_connections SET disabled_at = %s WHERE username = 'user of disabled'", NOW)
        execute("UPDATE app.workspaces SET deleted_at = %s WHERE name = 'deleted'", NOW + timedelta(days=9000))
        tenants = EverlyticAccounts(secret_key=SECRET_KEY, allowed_networks=["127.0.0.0/8"]).load_tenants(connection)
    expected = [Tenant(workspaces[name], name, "v1", "tenant", f"user of {name}", f"key of {name}") for name in "AB"]
    assert tenants == sorted(expected, key=lambda tenant: tenant.workspace_id)
