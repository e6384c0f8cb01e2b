import fcntl
import json
import os
import stat
import threading
from pathlib import Path

import psycopg
import pytest

from database.embedded import EmbeddedPostgresError, Server, start
from database.embedded_process import find_server_processes
from tests.database.embedded.processes import (
    accepts_connections,
    commit_rows,
    count_rows,
    fetch_value,
    start_in_another_process,
)
from tests.postgres import create_database, drop_database, ensure_template


def test_start_and_stop(home: Path) -> None:
    """A server listens only on the loopback address and creates the database; after a stop its rows are still there."""
    with start(home) as server:
        assert server.is_owned
        assert server.url.startswith("postgresql://salesmatter:")
        assert server.url.endswith("/salesmatter")
        assert (
            fetch_value(server.url, "SELECT current_user || current_setting('listen_addresses')")
            == "salesmatter127.0.0.1"
        )
        assert fetch_value(server.url, "SELECT current_setting('TimeZone') || lower('ÉA')") == "UTCéa"
        assert (
            fetch_value(server.url, "SELECT current_setting('fsync') || current_setting('synchronous_commit')")
            == "onon"
        )
        commit_rows(server.url)
        for secret in ("password", "lock", "server.json", "postgres.log"):
            assert stat.S_IMODE((home / secret).stat().st_mode) == 0o600
    assert not accepts_connections(server.url)
    assert not find_server_processes(str(home / "data"))
    assert not (home / "server.json").exists()
    server.stop()
    with start(home) as again:
        assert count_rows(again.url) == 1000


def test_join(home_with_data: Path) -> None:
    """A second start, in the same or another process, joins the running server and cannot stop it."""
    with start(home_with_data, durable=False) as server:
        with start_in_another_process(home_with_data) as (_, url, owned):
            assert (url, owned) == (server.url, False)
        joined = start(home_with_data, database="another name")
        assert not joined.is_owned
        joined.stop()
        assert fetch_value(joined.url, "SELECT current_database()") == "another name"
        assert accepts_connections(server.url)


def test_started_together(home: Path) -> None:
    """Exactly one of several simultaneous starts owns the server, which outlives the thread that started it."""
    servers: list[Server] = []
    threads = [
        threading.Thread(target=lambda: servers.append(start(home, durable=False, timeout_seconds=30)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(server.is_owned for server in servers) == [False, False, False, True]
    assert {accepts_connections(server.url) for server in servers} == {True}
    for server in servers:
        server.stop()
    assert not accepts_connections(servers[0].url)


def test_passwords(home_with_data: Path) -> None:
    """Wrong and missing passwords are refused, and passwords are stored as SCRAM hashes."""
    with start(home_with_data, durable=False) as server:
        for pretender in ("salesmatter:guess@", "salesmatter@", "postgres@"):
            address = f"postgresql://{pretender}{server.url.partition('@')[2]}"
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(address, connect_timeout=5, passfile=os.devnull)
        assert str(fetch_value(server.url, "SELECT rolpassword FROM pg_authid WHERE rolcanlogin")).startswith(
            "SCRAM-SHA-256$"
        )
        assert (
            fetch_value(server.url, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == 0
        )


def test_locked_home(home: Path) -> None:
    """The error for an owner that does not become ready names the home."""
    (home / "server.json").write_text(json.dumps({"port": 1}))
    (home / "password").write_text("stale")
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedPostgresError, match=f"Another process owns the embedded Postgres of {home}"):
            start(home, timeout_seconds=0.1)


def test_incomplete_data(home: Path) -> None:
    """The remains of an interrupted initdb are deleted; a damaged data directory is refused."""
    leftover = home / "data.new-cut-short" / "data"
    leftover.mkdir(parents=True)
    (leftover / "PG_VERSION").write_text("18\n")
    with start(home, durable=False) as server:
        assert accepts_connections(server.url)
    assert not leftover.exists()
    (home / "data" / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedPostgresError, match="not a complete Postgres data directory: delete"):
        start(home)


def test_other_version_and_lost_password(home_with_data: Path) -> None:
    """Data of another major version, or without its password, is refused; the error says what to do."""
    version = home_with_data / "data" / "PG_VERSION"
    version.write_text("14\n")
    with pytest.raises(
        EmbeddedPostgresError, match=r"was created by Postgres 14, and .* is Postgres \d+: use the programs"
    ):
        start(home_with_data)
    version.write_text("18\n")
    (home_with_data / "password").unlink()
    with pytest.raises(EmbeddedPostgresError, match="is missing: delete"):
        start(home_with_data)
    assert not (home_with_data / "server.json").exists()


def test_wrong_programs(home: Path) -> None:
    """The error names a directory without Postgres, and programs that are not Postgres."""
    with pytest.raises(EmbeddedPostgresError, match=r"elsewhere does not contain the Postgres program postgres"):
        start(home, bin_dir=home / "elsewhere")
    false = home / "bin"
    false.mkdir()
    false.chmod(0o755)
    for program in ("postgres", "initdb"):
        (false / program).write_text("#!/bin/sh\necho sorry >&2\nexit 1\n")
        (false / program).chmod(0o755)
    with pytest.raises(EmbeddedPostgresError, match=r"bin/postgres cannot run: sorry"):
        start(home, bin_dir=false)


def test_unusable_home(home: Path) -> None:
    """The error for a home below a file has the reason of the operating system."""
    (home / "file").write_text("")
    with pytest.raises(EmbeddedPostgresError, match="cannot be prepared: Not a directory"):
        start(home / "file" / "home")


def test_failed_start(home_with_data: Path) -> None:
    """When Postgres does not start, the error has its reason, and the home is free for the next start."""
    settings = home_with_data / "data" / "postgresql.conf"
    original = settings.read_text()
    settings.write_text(original + "\nno_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match=r"did not start: configuration file .* contains errors"):
        start(home_with_data, durable=False)
    settings.write_text(original)
    with start(home_with_data, durable=False) as server:
        assert accepts_connections(server.url)


def test_databases_from_a_template(postgres_url: str) -> None:
    """The template is built once, and the databases cloned from it are independent."""
    built: list[str] = []

    def build(url: str) -> None:
        built.append(url)
        commit_rows(url)

    names = [f"clone_{os.getpid()}_{number}" for number in range(2)]
    template = f"template_{os.getpid()}"
    for _ in range(2):
        assert ensure_template(postgres_url, template, build) == template
    try:
        first, second = (create_database(postgres_url, name, template) for name in names)
        with psycopg.connect(first) as connection:
            connection.execute("DELETE FROM kept")
        assert (count_rows(first), count_rows(second), len(built)) == (0, 1000, 1)
    finally:
        for name in names:
            drop_database(postgres_url, name)
