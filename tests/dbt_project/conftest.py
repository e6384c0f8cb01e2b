"""One database for all tests of the project, because dbt parses anew for each, and a target folder of its own."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from database.roles import connect, owner_url
from orchestration.defs.dbt.project import DbtProject
from orchestration.settings import ROOT
from tests.dbt_project.history import History
from tests.postgres import create_database, drop_database


@pytest.fixture(scope="session")
def history_database_url(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """Give the run a fresh migrated database, as the owner."""
    name = f"test_{uuid.uuid4().hex}"
    yield create_database(postgres_url, name, template=migrated_template)
    drop_database(postgres_url, name)


@pytest.fixture(scope="session")
def connection(history_database_url: str) -> Iterator[psycopg.Connection]:
    """Connect to the database as its owner."""
    with connect(owner_url(history_database_url)) as opened:
        yield opened


@pytest.fixture(scope="session")
def history(connection: psycopg.Connection) -> History:
    """Write history into the database."""
    return History(connection)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """Give the run one target folder, so that dbt parses the project once."""
    return DbtProject(ROOT / "dbt_project", tmp_path_factory.mktemp("dbt"))
