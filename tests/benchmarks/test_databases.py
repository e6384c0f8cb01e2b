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
from benchmarks.errors import BenchFailed
from database.roles import libpq_url, owner_url
from salesmatter.stack import Database
from tests import ROOT


@pytest.fixture
def server(postgres_url: str) -> Database:
    """The run's server, as a bench is given it."""
    url = owner_url(postgres_url)
    return Database(url, url)


def is_there(postgres_url: str, name: str | None) -> bool:
    """Whether the server has a database of this name."""
    with psycopg.connect(postgres_url) as connection:
        return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def test_it_is_migrated_and_gone_afterwards(server: Database, postgres_url: str) -> None:
    """A bench finds every table, and leaves nothing on the server."""
    with fresh_database(server) as database, psycopg.connect(libpq_url(database.direct)) as connection:
        assert connection.execute("SELECT count(*) FROM app.leads").fetchone() == (0,)
    assert not is_there(postgres_url, database.owner.database)


@pytest.mark.parametrize("ending", [BenchFailed("it went wrong"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_it_is_gone_after_a_bad_ending(server: Database, postgres_url: str, ending: BaseException) -> None:
    """Neither an error nor Ctrl-C leaves a database behind, even with a connection open."""
    names: list[str | None] = []
    with ExitStack() as still_open:

        def measure() -> None:
            with fresh_database(server) as database:
                names.append(database.owner.database)
                still_open.enter_context(psycopg.connect(libpq_url(database.direct)))
                raise ending

        with pytest.raises(type(ending)):
            measure()
        assert [is_there(postgres_url, name) for name in names] == [False]


def test_what_a_killed_run_left_is_dropped(server: Database, postgres_url: str) -> None:
    """The next run tidies up, and lets the database of one that is at work be."""
    left = f"{PREFIX}left_{os.getpid()}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(left)))
    with fresh_database(server) as first, fresh_database(server):
        assert not is_there(postgres_url, left)
        assert is_there(postgres_url, first.owner.database)


def test_a_user_who_may_not_is_told_what_to_do(server: Database, postgres_url: str) -> None:
    """Without the right to make databases, the sentence names the right and the way around it."""
    name = f"bench_user_{os.getpid()}"
    user = sql.Identifier(name)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(user))
        try:
            url = server.owner.set(username=name, password="secret")
            with pytest.raises(BenchFailed, match="grant it CREATEDB"), fresh_database(Database(url, url)):
                pass
        finally:
            connection.execute(sql.SQL("DROP ROLE {}").format(user))


def test_an_interrupted_bench_leaves_nothing(postgres_url: str, tmp_path: Path) -> None:
    """Ctrl-C while a bench fills its database ends it quietly, and the database is gone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SALESMATTER_", "DATABASE_"))}
    with subprocess.Popen(
        [sys.executable, "-m", "salesmatter", "bench", "api"],
        cwd=ROOT,
        env={**kept, "SALESMATTER_HOME": str(tmp_path), "DATABASE_URL": postgres_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        name = process.stderr.readline().rstrip(".\n").rpartition(" ")[2]
        assert is_there(postgres_url, name)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=60)
    assert (process.returncode, printed, errors) == (130, "", "")
    assert not is_there(postgres_url, name)
