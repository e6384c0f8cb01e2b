"""Which tenants are asked, how many at once, and what one that fails leaves behind."""

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
from everlytic.protocol import Complain
from orchestration.defs.everlytic.batches import Batches, Row
from orchestration.defs.everlytic.landing import TRANSACTIONS
from orchestration.defs.everlytic.polling import Polled, poll
from orchestration.defs.everlytic.records import Fetch, Window
from orchestration.defs.everlytic.resources import EverlyticAccounts, Tenant
from tests.dbt_project.history import History
from tests.orchestration.conftest import SECRET_KEY
from tests.virtual_time import run_in_virtual_time, seconds_now

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
WINDOW = Window(NOW, NOW, NOW)
URL = "https://provider.example"
NO_ROWS: tuple[Row, ...] = ()
ANSWERING = 1.0
"""Virtual seconds that a tenant takes to answer."""


def tenants(*keys: str) -> list[Tenant]:
    """Return a tenant for each encrypted key."""
    return [Tenant(UUID(int=number), f"T{number}", URL, URL, "u", key) for number, key in enumerate(keys)]


def readable_key() -> str:
    """Return a key as it is stored."""
    return SecretBox(SECRET_KEY).encrypt("key")


def no_database() -> psycopg.Connection:
    """Stand for a database that must not be asked."""
    raise AssertionError


def polled(asked: list[Tenant], fetch: Fetch) -> list[Polled]:
    """Poll the tenants in virtual time, landing nothing."""
    batches = Batches(no_database, TRANSACTIONS, lambda _said: None)
    accounts = EverlyticAccounts(secret_key=SECRET_KEY)
    return run_in_virtual_time(poll(accounts, asked, fetch, WINDOW, batches, lambda: NOW))


def failing(error: Exception) -> Fetch:
    """Return a fetch that fails before its first row."""

    async def fetch(_client: EverlyticClient, _window: Window, _complain: Complain) -> AsyncIterator[Row]:
        for row in NO_ROWS:
            yield row
        raise error

    return fetch


@pytest.mark.parametrize(("count", "started_at"), [(7, [0.0] * 7), (8, [0.0] * 8), (9, [0.0] * 8 + [1.0])])
def test_eight_tenants_are_asked_at_once(count: int, started_at: list[float]) -> None:
    """Where each tenant takes a second, the first eight begin together and the ninth when one of them has ended."""
    moments: list[float] = []

    async def fetch(_client: EverlyticClient, _window: Window, _complain: Complain) -> AsyncIterator[Row]:
        moments.append(seconds_now())
        await asyncio.sleep(ANSWERING)
        for row in NO_ROWS:
            yield row

    assert [one.error for one in polled(tenants(*[readable_key()] * count), fetch)] == [None] * count
    assert moments == started_at


def test_a_key_that_cannot_be_read_fails_its_tenant_alone() -> None:
    """A key of another secret, or one that is none, is said of its tenant; the tenants around it are asked."""
    asked: list[int] = []

    async def fetch(_client: EverlyticClient, _window: Window, _complain: Complain) -> AsyncIterator[Row]:
        asked.append(1)
        for row in NO_ROWS:
            yield row

    keys = [readable_key(), SecretBox("another").encrypt("key"), "no secret", readable_key()]
    results = polled(tenants(*keys), fetch)
    assert [one.tenant.name for one in results] == ["T0", "T1", "T2", "T3"]
    said = [one.error and one.error.partition(":")[0] for one in results]
    assert said == [None, "UndecipherableSecret", "UndecipherableSecret", None]
    assert len(asked) == 2


@pytest.mark.parametrize("error", [RuntimeError("ours"), psycopg.OperationalError("away")])
def test_what_goes_wrong_on_our_side_ends_the_sync(error: Exception) -> None:
    """An error that is not the provider's is raised as it is, and not as one of a group."""
    with pytest.raises(type(error)) as caught:
        polled(tenants(readable_key(), readable_key()), failing(error))
    assert caught.value is error


YEAR = 366 * 86_400


@pytest.mark.parametrize(
    ("retry_after", "said"),
    [
        (None, ""),
        (0.0, " It may be asked again in 0 s, at 2026-03-02 09:00:00 UTC."),
        (1.0, " It may be asked again in 1 s, at 2026-03-02 09:00:01 UTC."),
        (YEAR - 1.0, " It may be asked again in 31,622,399 s, at 2027-03-03 08:59:59 UTC."),
        (float(YEAR), " It may be asked again in 31,622,400 s, at 2027-03-03 09:00:00 UTC."),
        (YEAR + 1.0, " It may be asked again in 31,622,401 s, at 2027-03-03 09:00:00 UTC."),
        (1e20, " It may be asked again in 100,000,000,000,000,000,000 s, at 2027-03-03 09:00:00 UTC."),
    ],
)
def test_a_tenant_that_must_wait_is_told_until_when(retry_after: float | None, said: str) -> None:
    """The seconds stand as the provider gave them, the date at most 366 days ahead."""
    error = errors.RateLimited("Wait.", retry_after=retry_after)
    (one,) = polled(tenants(readable_key()), failing(error))
    assert one.error == f"RateLimited: Wait.{said}"


def test_only_live_connections_of_live_workspaces_are_asked(database_url: str) -> None:
    """A disabled connection, a deleted workspace and one without a connection are left out; others come in order."""
    with connect(owner_url(database_url)) as connection:
        history = History(connection)
        workspaces = {name: history.workspace(name) for name in ("A", "disabled", "B", "deleted", "none")}

        def do(statement: str, *values: Any) -> None:
            connection.execute(statement.encode(), values)

        for name, workspace in workspaces.items():
            if name != "none":
                do(
                    "INSERT INTO app.everlytic_connections (workspace_id, transactional_url, tenant_url, username, "
                    "encrypted_key, webhook_token_hash, encrypted_webhook_password) "
                    "VALUES (%s, %s, %s, %s, %s, %s, '')",
                    *(workspace, "v1", "tenant", f"user of {name}", f"key of {name}", name),
                )
        do("UPDATE app.everlytic_connections SET disabled_at = %s WHERE username = 'user of disabled'", NOW)
        do("UPDATE app.workspaces SET deleted_at = %s WHERE name = 'deleted'", NOW + timedelta(days=9000))
        found = EverlyticAccounts(secret_key=SECRET_KEY).tenants(connection)
    expected = [Tenant(workspaces[name], name, "v1", "tenant", f"user of {name}", f"key of {name}") for name in "AB"]
    assert found == sorted(expected, key=lambda tenant: tenant.workspace_id)
