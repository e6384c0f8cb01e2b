import fcntl
import json
import os
import stat
import threading
from pathlib import Path

import psycopg
import pytest

from database.embedded import EmbeddedPostgresError, Server, start
from database.embedded_process import server_processes
from tests.database.embedded.processes import (
    accepts,
    another_process,
    commit_rows,
    kept_rows,
    one,
)
from tests.postgres import create_database, drop_database, ensure_template


def test_start_and_stop(home: Path) -> None:
    """A server comes up on the loopback address alone with the database made, and its stop ends it and keeps rows."""
    with start(home) as server:
        assert server.owned
        assert server.url.startswith("postgresql://salesmatter:")
        assert server.url.endswith("/salesmatter")
        assert one(server.url, "SELECT current_user || current_setting('listen_addresses')") == "salesmatter127.0.0.1"
        assert one(server.url, "SELECT current_setting('TimeZone') || lower('ÉA')") == "UTCéa"
        assert one(server.url, "SELECT current_setting('fsync') || current_setting('synchronous_commit')") == "onon"
        commit_rows(server.url)
        for secret in ("password", "lock", "server.json", "postgres.log"):
            assert stat.S_IMODE((home / secret).stat().st_mode) == 0o600
    assert not accepts(server.url)
    assert not server_processes(str(home / "data"))
    assert not (home / "server.json").exists()
    server.stop()
    with start(home) as again:
        assert kept_rows(again.url) == 1000


def test_join(made: Path) -> None:
    """Who asks second, in another process or in the same, joins the server, and cannot end it."""
    with start(made, durable=False) as server:
        with another_process(made) as (_, url, owned):
            assert (url, owned) == (server.url, False)
        joined = start(made, database="another name")
        assert not joined.owned
        joined.stop()
        assert one(joined.url, "SELECT current_database()") == "another name"
        assert accepts(server.url)


def test_started_together(home: Path) -> None:
    """Of several that start at the same moment exactly one owns the server, and the thread that did may end."""
    servers: list[Server] = []
    threads = [
        threading.Thread(target=lambda: servers.append(start(home, durable=False, patience=30))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(server.owned for server in servers) == [False, False, False, True]
    assert {accepts(server.url) for server in servers} == {True}
    for server in servers:
        server.stop()
    assert not accepts(servers[0].url)


def test_passwords(made: Path) -> None:
    """A wrong password and none are refused over the only way in, and none is stored in the clear."""
    with start(made, durable=False) as server:
        for pretender in ("salesmatter:guess@", "salesmatter@", "postgres@"):
            address = f"postgresql://{pretender}{server.url.partition('@')[2]}"
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(address, connect_timeout=5, passfile=os.devnull)
        assert str(one(server.url, "SELECT rolpassword FROM pg_authid WHERE rolcanlogin")).startswith("SCRAM-SHA-256$")
        assert one(server.url, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == 0


def test_taken_lock(home: Path) -> None:
    """An owner that never gets ready is reported in a sentence that names the home."""
    (home / "server.json").write_text(json.dumps({"port": 1}))
    (home / "password").write_text("stale")
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedPostgresError, match=f"Another process holds the embedded Postgres of {home}"):
            start(home, patience=0.1)


def test_half_made_data(home: Path) -> None:
    """An initdb that was cut short does not count and is cleared away; a damaged data directory is refused."""
    left = home / "data.new-cut-short" / "data"
    left.mkdir(parents=True)
    (left / "PG_VERSION").write_text("18\n")
    with start(home, durable=False) as server:
        assert accepts(server.url)
    assert not left.exists()
    (home / "data" / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedPostgresError, match="not a whole Postgres data directory: delete"):
        start(home)


def test_other_version_and_lost_password(made: Path) -> None:
    """Data of another major version and data without its password are refused with the way out."""
    version = made / "data" / "PG_VERSION"
    version.write_text("14\n")
    with pytest.raises(EmbeddedPostgresError, match=r"was made by Postgres 14 and .* holds Postgres \d+: use programs"):
        start(made)
    version.write_text("18\n")
    (made / "password").unlink()
    with pytest.raises(EmbeddedPostgresError, match="is missing: delete"):
        start(made)
    assert not (made / "server.json").exists()


def test_wrong_programs(home: Path) -> None:
    """A directory without Postgres, and programs that are not Postgres, are named in a sentence."""
    with pytest.raises(EmbeddedPostgresError, match=r"elsewhere is no directory of Postgres programs: postgres is not"):
        start(home, bin_dir=home / "elsewhere")
    false = home / "bin"
    false.mkdir()
    false.chmod(0o755)
    for program in ("postgres", "initdb"):
        (false / program).write_text("#!/bin/sh\necho sorry >&2\nexit 1\n")
        (false / program).chmod(0o755)
    with pytest.raises(EmbeddedPostgresError, match=r"bin/postgres does not run here: sorry"):
        start(home, bin_dir=false)


def test_unusable_home(home: Path) -> None:
    """A home that cannot be a directory is reported in a sentence."""
    (home / "file").write_text("")
    with pytest.raises(EmbeddedPostgresError, match="cannot be prepared: Not a directory"):
        start(home / "file" / "home")


def test_broken_start(made: Path) -> None:
    """When Postgres does not start, its own reason is in the sentence, and the home is free for the next try."""
    settings = made / "data" / "postgresql.conf"
    whole = settings.read_text()
    settings.write_text(whole + "\nno_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match=r"does not start: configuration file .* contains errors"):
        start(made, durable=False)
    settings.write_text(whole)
    with start(made, durable=False) as server:
        assert accepts(server.url)


def test_databases_from_a_template(postgres_url: str) -> None:
    """The template is built once, and databases cloned from it are apart from each other."""
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
        assert (kept_rows(first), kept_rows(second), len(built)) == (0, 1000, 1)
    finally:
        for name in names:
            drop_database(postgres_url, name)
