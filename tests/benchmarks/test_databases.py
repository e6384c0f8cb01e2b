import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from benchmarks.databases import PREFIX, fresh_database
from benchmarks.errors import BenchmarkError
from database.roles import libpq_url, owner_url
from salesmatter.stack import Database
from tests import ROOT


@pytest.fixture
def server(postgres_url: str) -> Database:
    """The test run's server."""
    url = owner_url(postgres_url)
    return Database(url, url)


def database_exists(postgres_url: str, name: str | None) -> bool:
    """Return whether the server has a database with this name."""
    with psycopg.connect(postgres_url) as connection:
        return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def test_a_database_is_migrated_and_dropped(server: Database, postgres_url: str) -> None:
    """The database has all tables, and is dropped after the block."""
    with fresh_database(server) as database, psycopg.connect(libpq_url(database.direct)) as connection:
        assert connection.execute("SELECT count(*) FROM app.leads").fetchone() == (0,)
    assert not database_exists(postgres_url, database.owner.database)


@pytest.mark.parametrize("error", [BenchmarkError("it went wrong"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_database_is_dropped_after_an_error(server: Database, postgres_url: str, error: BaseException) -> None:
    """The database is dropped after an error and after Ctrl-C, even with an open connection."""
    names: list[str | None] = []
    with ExitStack() as still_open:

        def measure() -> None:
            with fresh_database(server) as database:
                names.append(database.owner.database)
                still_open.enter_context(psycopg.connect(libpq_url(database.direct)))
                raise error

        with pytest.raises(type(error)):
            measure()
        assert [database_exists(postgres_url, name) for name in names] == [False]


def test_the_database_of_a_killed_run_is_dropped(server: Database, postgres_url: str) -> None:
    """The next run drops the database of a killed run, and not that of a running one."""
    leftover = f"{PREFIX}left_{os.getpid()}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(leftover)))
    with fresh_database(server) as first, fresh_database(server):
        assert not database_exists(postgres_url, leftover)
        assert database_exists(postgres_url, first.owner.database)


def test_a_user_without_createdb_gets_a_clear_error(server: Database, postgres_url: str) -> None:
    """The error for a missing CREATEDB privilege names it and the alternative."""
    name = f"bench_user_{os.getpid()}"
    user = sql.Identifier(name)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(user))
        try:
            url = server.owner.set(username=name, password="secret")
            with pytest.raises(BenchmarkError, match="Grant it CREATEDB"), fresh_database(Database(url, url)):
                pass
        finally:
            connection.execute(sql.SQL("DROP ROLE {}").format(user))


def test_an_interrupted_bench_leaves_nothing(postgres_url: str, tmp_path: Path) -> None:
    """Ctrl-C while a benchmark fills its database ends it without output, and the database is dropped."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("SALESMATTER_", "DATABASE_"))
    }
    with subprocess.Popen(
        [sys.executable, "-m", "salesmatter", "bench", "api"],
        cwd=ROOT,
        env={**environment, "SALESMATTER_HOME": str(tmp_path), "DATABASE_URL": postgres_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        name = process.stderr.readline().rstrip(".\n").rpartition(" ")[2]
        assert database_exists(postgres_url, name)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=60)
    assert (process.returncode, printed, errors) == (130, "", "")
    assert not database_exists(postgres_url, name)
