import os
import signal
import threading
from pathlib import Path

import psycopg
import pytest

from database.embedded import start
from database.embedded_process import server_processes
from tests.database.embedded.processes import (
    accepts,
    another_process,
    commit_rows,
    eventually,
    has_ended,
    kept_rows,
    on_linux,
    one,
    parent_of,
    postmaster_of,
)


@on_linux
def test_killed_owner(made: Path) -> None:
    """A killed owner leaves no process behind, and what it committed is there for the next one."""
    with another_process(made) as (owner, url, owned):
        assert owned
        commit_rows(url)
        supervisor = parent_of(postmaster_of(made / "data"))
        os.kill(owner, signal.SIGKILL)
        assert eventually(lambda: not server_processes(str(made / "data")) and has_ended(supervisor))
    with start(made) as server:
        assert server.owned
        assert kept_rows(server.url) == 1000


@on_linux
def test_killed_postgres(made: Path) -> None:
    """A killed Postgres comes back under the same URL with all that was committed, though a backend was at work."""
    with start(made) as server:
        commit_rows(server.url)
        endless = "DO 'BEGIN LOOP END LOOP; END'"
        running = f"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = $${endless}$$"

        def kill_when_busy() -> None:
            if eventually(lambda: one(server.url, running) == 1):
                os.kill(postmaster_of(made / "data"), signal.SIGKILL)

        with psycopg.connect(server.url, autocommit=True) as busy:
            killer = threading.Thread(target=kill_when_busy)
            killer.start()
            with pytest.raises(psycopg.OperationalError):
                busy.execute(endless)
            killer.join()
        assert eventually(lambda: accepts(server.url))
        assert kept_rows(server.url) == 1000


@on_linux
def test_killed_supervisor(made: Path) -> None:
    """A killed supervisor is replaced by its owner under the same URL."""
    with start(made) as server:
        commit_rows(server.url)
        postmaster = postmaster_of(made / "data")
        os.kill(parent_of(postmaster), signal.SIGKILL)
        assert eventually(lambda: accepts(server.url) and postmaster_of(made / "data") != postmaster)
        assert kept_rows(server.url) == 1000
    assert not server_processes(str(made / "data"))


@on_linux
def test_all_killed(made: Path) -> None:
    """With owner, supervisor and Postgres killed at once, the next start recovers every committed row."""
    with another_process(made) as (owner, url, _):
        commit_rows(url)
        postmaster = postmaster_of(made / "data")
        for process in (owner, parent_of(postmaster), postmaster):
            os.kill(process, signal.SIGKILL)
    with start(made) as server:
        assert kept_rows(server.url) == 1000


@on_linux
def test_killed_supervisor_without_owner(made: Path) -> None:
    """The kernel ends Postgres when nobody is left who could."""
    with another_process(made) as (owner, _, _):
        supervisor = parent_of(postmaster_of(made / "data"))
        os.kill(owner, signal.SIGSTOP)
        os.kill(supervisor, signal.SIGKILL)
        assert eventually(lambda: not server_processes(str(made / "data")))
        os.kill(owner, signal.SIGKILL)


@on_linux
def test_postgres_that_was_shut_down(made: Path) -> None:
    """A Postgres that somebody shut down in good order stays down, and its home is free for the next start."""
    with start(made) as server:
        commit_rows(server.url)
        supervisor = parent_of(postmaster_of(made / "data"))
        os.kill(postmaster_of(made / "data"), signal.SIGINT)
        assert eventually(lambda: has_ended(supervisor))
        assert not accepts(server.url)
        assert not (made / "server.json").exists()
        with start(made) as again:
            assert again.owned
            assert kept_rows(again.url) == 1000
