"""Fixtures: one database and one target folder for all tests, because dbt parses the project again for each."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from database.roles import connect, owner_url
from orchestration.defs.dbt.project import DbtProject
from orchestration.settings import ROOT
from tests.dbt_project.history import History
from tests.postgres import DropQueue, create_database


@pytest.fixture(scope="session")
def history_database_url(postgres_url: str, migrated_template: str, drop_queue: DropQueue) -> Iterator[str]:
    """Create a migrated database for the test run, and return its URL as the owner."""
    name = f"test_{uuid.uuid4().hex}"
    yield create_database(postgres_url, name, template=migrated_template)
    drop_queue.add(name)


@pytest.fixture(scope="session")
def connection(history_database_url: str) -> Iterator[psycopg.Connection]:
    """Connect to the database as its owner."""
    with connect(owner_url(history_database_url)) as connection:
        yield connection


@pytest.fixture(scope="session")
def history(connection: psycopg.Connection) -> History:
    """Return a writer of test rows for the database."""
    return History(connection)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """Return the project with one target folder, so that dbt parses it once."""
    return DbtProject(ROOT / "dbt_project", tmp_path_factory.mktemp("dbt"))
