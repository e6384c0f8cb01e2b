import os
import signal
import threading
from pathlib import Path

import psycopg
import pytest

from database.embedded import start
from database.embedded_process import find_server_processes
from tests.database.embedded.processes import (
    accepts_connections,
    commit_rows,
    count_rows,
    fetch_value,
    has_ended,
    needs_linux,
    read_parent_id,
    read_postmaster_id,
    start_in_another_process,
    wait_until,
)


@needs_linux
def test_killed_owner(home_with_data: Path) -> None:
    """A killed owner leaves no process behind, and the next owner finds all committed rows."""
    with start_in_another_process(home_with_data) as (owner, url, owned):
        assert owned
        commit_rows(url)
        supervisor = read_parent_id(read_postmaster_id(home_with_data / "data"))
        os.kill(owner, signal.SIGKILL)
        assert wait_until(lambda: not find_server_processes(str(home_with_data / "data")) and has_ended(supervisor))
    with start(home_with_data) as server:
        assert server.is_owned
        assert count_rows(server.url) == 1000


@needs_linux
def test_killed_postgres(home_with_data: Path) -> None:
    """A Postgres that is killed while a backend is busy restarts with the same URL and all committed rows."""
    with start(home_with_data) as server:
        commit_rows(server.url)
        endless = "DO 'BEGIN LOOP END LOOP; END'"
        running = f"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = $${endless}$$"

        def kill_when_busy() -> None:
            if wait_until(lambda: fetch_value(server.url, running) == 1):
                os.kill(read_postmaster_id(home_with_data / "data"), signal.SIGKILL)

        with psycopg.connect(server.url, autocommit=True) as busy:
            killer = threading.Thread(target=kill_when_busy)
            killer.start()
            with pytest.raises(psycopg.OperationalError):
                busy.execute(endless)
            killer.join()
        assert wait_until(lambda: accepts_connections(server.url))
        assert count_rows(server.url) == 1000


@needs_linux
def test_killed_supervisor(home_with_data: Path) -> None:
    """The owner replaces a killed supervisor, and the URL stays the same."""
    with start(home_with_data) as server:
        commit_rows(server.url)
        postmaster = read_postmaster_id(home_with_data / "data")
        os.kill(read_parent_id(postmaster), signal.SIGKILL)
        assert wait_until(
            lambda: accepts_connections(server.url) and read_postmaster_id(home_with_data / "data") != postmaster
        )
        assert count_rows(server.url) == 1000
    assert not find_server_processes(str(home_with_data / "data"))


@needs_linux
def test_all_killed(home_with_data: Path) -> None:
    """After owner, supervisor and Postgres are killed at once, the next start recovers all committed rows."""
    with start_in_another_process(home_with_data) as (owner, url, _):
        commit_rows(url)
        postmaster = read_postmaster_id(home_with_data / "data")
        for process in (owner, read_parent_id(postmaster), postmaster):
            os.kill(process, signal.SIGKILL)
    with start(home_with_data) as server:
        assert count_rows(server.url) == 1000


@needs_linux
def test_killed_supervisor_without_owner(home_with_data: Path) -> None:
    """The kernel ends Postgres when the supervisor is killed and the owner is stopped."""
    with start_in_another_process(home_with_data) as (owner, _, _):
        supervisor = read_parent_id(read_postmaster_id(home_with_data / "data"))
        os.kill(owner, signal.SIGSTOP)
        os.kill(supervisor, signal.SIGKILL)
        assert wait_until(lambda: not find_server_processes(str(home_with_data / "data")))
        os.kill(owner, signal.SIGKILL)


@needs_linux
def test_postgres_that_was_shut_down(home_with_data: Path) -> None:
    """A Postgres that was shut down regularly is not restarted, and its home is free for the next start."""
    with start(home_with_data) as server:
        commit_rows(server.url)
        supervisor = read_parent_id(read_postmaster_id(home_with_data / "data"))
        os.kill(read_postmaster_id(home_with_data / "data"), signal.SIGINT)
        assert wait_until(lambda: has_ended(supervisor))
        assert not accepts_connections(server.url)
        assert not (home_with_data / "server.json").exists()
        with start(home_with_data) as again:
            assert again.is_owned
            assert count_rows(again.url) == 1000
