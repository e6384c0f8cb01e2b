"""Fixtures that any test may need: a database of its own, built by the real migrations."""

import os
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import settings

from database.migrate import migrate
from database.roles import owner_url
from egress.settings import allow_loopback
from tests.business_clock import CLOCK_NAME, set_business_clock
from tests.optional_programs import closing_line
from tests.postgres import DropQueue, create_database, ensure_template
from tests.recycled_databases import RecycledDatabases
from tests.transaction_settings import outlived, watch_pools
from tests.two_workspaces import TwoWorkspaces

pytest_plugins = ["tests.postgres", "tests.blocking", "tests.scheduling"]

# Before any test module is imported: Dagster's business days are made on import.
set_business_clock()

# The sandbox, IMAP servers and hostile servers of the tests run on this machine.
os.environ.update(allow_loopback())

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

TEMPLATE = "salesmatter_template"
APP_SESSIONS = [
    "salesmatter-api",
    "salesmatter-api-notifier",
    "salesmatter-live",
    "salesmatter-listen",
    "salesmatter-metrics",
]
"""The sessions of an app that is still open for the tests that follow."""


def pytest_report_header() -> str:
    """Print the business clock, so that a failure can be repeated by hand."""
    return f"business clock: {CLOCK_NAME} (SALESMATTER_TEST_CLOCK={CLOCK_NAME})"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line about the tests that were skipped because a program is missing."""
    if line := closing_line(str(report.longrepr) for report in terminalreporter.getreports("skipped")):
        terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def no_setting_outlives_its_transaction() -> Iterator[None]:
    """Fail the test in which a connection came back to its pool with a setting of the transaction before."""
    outlived.clear()
    yield
    assert outlived == []


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run coroutines on asyncio alone, as production does."""
    return "asyncio"


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str) -> str:
    """Build the template database once per run, by the real migrations, and return its name."""
    watch_pools(postgres_url)
    ensure_template(postgres_url, TEMPLATE, lambda url: migrate(owner_url(url)))
    return TEMPLATE


@pytest.fixture(scope="session")
def recycled_databases(postgres_url: str, migrated_template: str, drop_queue: DropQueue) -> Iterator[RecycledDatabases]:
    """Keep the worker's migrated databases, which one test after the other uses."""
    databases = RecycledDatabases(postgres_url, migrated_template, drop_queue, APP_SESSIONS)
    yield databases
    databases.drop_all()


@pytest.fixture
def database_url(
    request: pytest.FixtureRequest,
    postgres_url: str,
    migrated_template: str,
    recycled_databases: RecycledDatabases,
    drop_queue: DropQueue,
) -> Iterator[str]:
    """Give the test a migrated database without any rows, as the owner.

    Tests of the app use one after the other. Tests of statements depend on how rows lie on the disk, so theirs is new.
    """
    if "app" in request.fixturenames and not {"blocking", "two_workspaces"} & set(request.fixturenames):
        url = recycled_databases.lend()
        yield url
        recycled_databases.take_back(url)
    else:
        name = f"test_{uuid.uuid4().hex}"
        yield create_database(postgres_url, name, template=migrated_template)
        drop_queue.add(name)


@pytest.fixture
def two_workspaces(database_url: str) -> Iterator[TwoWorkspaces]:
    """Fill the test's database with two workspaces that have a row of every table each."""
    with psycopg.connect(database_url, autocommit=True) as owner:
        yield TwoWorkspaces.fill(database_url, owner)
