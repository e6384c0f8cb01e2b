"""Fixtures: a database per module, and tenants whose Everlytic account is a running sandbox."""

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from datetime import time as clock_time
from uuid import UUID

import psycopg
import pytest

from database.roles import connect, owner_url
from database.secrets import SecretBox
from tests.business_clock import business_now
from tests.dbt_project.history import History
from tests.postgres import DropQueue, create_database
from tests.sandbox import Sandbox, running_sandbox

SECRET_KEY = "a key of the tests"
MORNING = datetime.combine(business_now().date(), clock_time(8), UTC)


@pytest.fixture(scope="module")
def module_database_url(postgres_url: str, migrated_template: str, drop_queue: DropQueue) -> Iterator[str]:
    """Create a migrated database for the module, and return its URL as the owner."""
    name = f"test_{uuid.uuid4().hex}"
    yield create_database(postgres_url, name, template=migrated_template)
    drop_queue.add(name)


@pytest.fixture(scope="module")
def connection(module_database_url: str) -> Iterator[psycopg.Connection]:
    """Connect to the module's database as its owner."""
    with connect(owner_url(module_database_url)) as connection:
        yield connection


@pytest.fixture(scope="module")
def history(connection: psycopg.Connection) -> History:
    """Return a writer of test rows for the module's database."""
    return History(connection)


@pytest.fixture(scope="module")
def business_clock() -> str:
    """Return a business clock that starts on the morning of the newest day that Dagster knows."""
    return f"{time.time()},{MORNING.isoformat()},1"


@pytest.fixture(scope="module")
def provider(business_clock: str) -> Iterator[Sandbox]:
    """Start a sandbox on the business clock."""
    with running_sandbox("--seed", "1", "--clock", business_clock) as sandbox:
        yield sandbox


def connect_tenant(
    connection: psycopg.Connection, workspace: UUID, provider: Sandbox, username: str, api_key: str | None = None
) -> None:
    """Give the workspace an Everlytic connection to the sandbox."""
    box = SecretBox(SECRET_KEY)
    connection.execute(
        """
        INSERT INTO app.everlytic_connections
            (workspace_id, transactional_url, tenant_url, username, encrypted_key, webhook_token_hash,
             encrypted_webhook_password)
        VALUES (%s, %s, %s, %s, %s, %s, '')
        """,
        [
            workspace,
            f"{provider.url}/transactional/email/v1",
            f"{provider.url}/api/2.0",
            username,
            box.encrypt(api_key or f"sandbox-key-{username}"),
            uuid.uuid4().hex,
        ],
    )
