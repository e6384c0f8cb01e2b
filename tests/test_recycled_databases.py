import socket
import struct
import uuid
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.postgres import DropQueue, create_database
from tests.recycled_databases import RecycledDatabases

INSERT = "INSERT INTO app.accounts (name) VALUES ('Acme')"


@pytest.fixture
def databases(postgres_url: str, migrated_template: str) -> Iterator[RecycledDatabases]:
    """Databases of the test's own."""
    with closing(DropQueue(postgres_url)) as drops:
        databases = RecycledDatabases(postgres_url, migrated_template, drops, ["kept"], seconds_to_close=0.05)
        yield databases
        databases.drop_all()


def run(url: str, *statements: str) -> None:
    """Run statements in a session of their own."""
    with psycopg.connect(url, autocommit=True) as owner:
        for statement in statements:
            owner.execute(statement.encode())


def test_a_database_is_emptied_and_used_again(databases: RecycledDatabases) -> None:
    """Rows of a test are gone, and rows that every database has are as they were."""
    url = databases.lend()
    run(url, INSERT, "DELETE FROM alembic_version")
    databases.take_back(url)

    assert databases.lend() == url
    with psycopg.connect(url) as owner:
        assert owner.execute("SELECT count(*) FROM app.accounts").fetchone() == (0,)
        assert owner.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE app.other ()",
        "ALTER TABLE app.leads ALTER email DROP NOT NULL",
        "CREATE INDEX ON app.leads (company)",
        "CREATE OR REPLACE FUNCTION app.other() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE app.leads DISABLE ROW LEVEL SECURITY",
        f"{INSERT}; ANALYZE app.accounts",
        "INSERT INTO app.accounts (name) SELECT 'Acme' FROM generate_series(1, 5001)",
    ],
)
def test_a_database_that_is_not_like_new_is_discarded(databases: RecycledDatabases, statement: str) -> None:
    """Another schema, statistics or very many rows end the use of a database, which is then dropped."""
    url = databases.lend()
    run(url, *statement.split("; "))
    databases.take_back(url)
    assert not databases.is_used(url)
    assert databases.lend() != url
    databases.drop_discarded()
    databases.drops.wait()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        run(url)


def test_an_open_session_ends_the_use_of_a_database(databases: RecycledDatabases) -> None:
    """A session may stay open if it has the name of one that is kept, and is idle."""
    url = databases.lend()
    with closing(psycopg.connect(url, autocommit=True, application_name="kept")) as session:
        databases.take_back(url)
        assert databases.lend() == url
        session.execute("BEGIN")
        databases.take_back(url)
        assert not databases.is_used(url)

    url = databases.lend()
    with closing(psycopg.connect(url, application_name="another")):
        databases.take_back(url)
        assert not databases.is_used(url)


def test_a_drop_does_not_stop_the_tests(postgres_url: str) -> None:
    """DROP DATABASE waits for a session that is half authenticated; who queued it goes on, and it ends afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    url = create_database(postgres_url, name)
    server = urlsplit(postgres_url)
    assert server.hostname is not None
    with closing(DropQueue(postgres_url)) as drops:
        with socket.create_connection((server.hostname, server.port or 5432)) as half:
            parameters = f"user\0{server.username}\0database\0{name}\0\0".encode()
            half.sendall(struct.pack("!II", 8 + len(parameters), 196608) + parameters)
            assert half.recv(1) == b"R"  # It asks for the password, which never comes.
            drops.add(name)
            assert [drop.done() for drop in drops.pending] == [False]
        drops.wait()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        run(url)
