"""How the supervisor starts Postgres and reacts to each kind of exit, with a shell script instead of Postgres."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from database import embedded_process
from database.embedded_binaries import EmbeddedPostgresError
from database.embedded_cluster import Cluster
from database.embedded_launch import PortTakenError, close_pipes, launch
from database.embedded_process import LOG_LIMIT_BYTES, READY, LaunchSpec, Supervisor
from tests.database.embedded.processes import read_postmaster_id, wait_until

IS_READY = "printf '%s\\n' $$ 2 3 4 5 6 7 ready > data/postmaster.pid"
WAIT_FOR_GO = "while [ ! -e go ]; do sleep 0.01; done"
COUNT = "echo run >> runs"


class Home:
    """A directory with a data directory, a program called postgres, and a count of its runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "data").mkdir()
        (folder / "bin").mkdir()

    def write_program(self, *lines: str) -> str:
        """Write the program, and return its path."""
        path = self.folder / "bin" / "postgres"
        path.write_text("\n".join(["#!/bin/sh", f"cd '{self.folder}'", COUNT, *lines, ""]))
        path.chmod(0o755)
        return str(path)

    def count_runs(self) -> int:
        """Return how often the program was run."""
        runs = self.folder / "runs"
        return len(runs.read_text().splitlines()) if runs.exists() else 0

    @contextmanager
    def supervised(self, *lines: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the program under a supervisor whose owner is this process."""
        spec = LaunchSpec(
            command=[self.write_program(*lines)],
            data=str(self.folder / "data"),
            log=str(self.folder / "postgres.log"),
            announcement=str(self.folder / "server.json"),
            owner=os.getpid(),
            user=None,
            group=None,
        )
        (self.folder / "server.json").write_text("{}")
        command = [sys.executable, "-I", "-S", embedded_process.__file__, spec.to_json()]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                yield process
            finally:
                process.kill()

    def launch(self, seconds: float = 30.0) -> "tuple[subprocess.Popen[bytes], int]":
        """Start the program as the embedded Postgres."""
        cluster = Cluster(self.folder, self.folder, self.folder / "bin", 18, None)
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            return launch(cluster, lock, durable=False, deadline=time.monotonic() + seconds)
        finally:
            os.close(lock)


@pytest.fixture
def home_dir(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path)


def wait_until_ready(home_dir: Home, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the supervisor reports that Postgres is ready, and let the program continue."""
    assert process.stdout is not None
    assert process.stdout.read(len(READY)) == READY
    (home_dir.folder / "go").touch()


def test_a_regular_shutdown_is_final(home_dir: Home) -> None:
    """A Postgres that exits with 0 is not started again, and its announcement is deleted."""
    with home_dir.supervised(IS_READY, WAIT_FOR_GO, "exit 0") as process:
        wait_until_ready(home_dir, process)
        assert process.wait(30) == 0
    assert home_dir.count_runs() == 1
    assert not (home_dir.folder / "server.json").exists()


@pytest.mark.parametrize("end", ["exit 1", "exit 2", "kill -KILL $$", "kill -TERM $$", "kill -INT $$"])
def test_every_other_exit_is_a_crash(home_dir: Home, end: str) -> None:
    """A Postgres that exits with another status, or by a signal, is started again."""
    crash = f"[ $(wc -l < runs) -gt 1 ] || {{ {end}; }}"
    with home_dir.supervised(IS_READY, WAIT_FOR_GO, crash, "exit 0") as process:
        wait_until_ready(home_dir, process)
        assert process.wait(30) == 0
    assert home_dir.count_runs() == 2


@pytest.mark.parametrize(("end", "status"), [("exit 0", 0), ("exit 1", 1), ("kill -KILL $$", 1)])
def test_an_exit_before_it_was_ready_is_not_retried(home_dir: Home, end: str, status: int) -> None:
    """A Postgres that exits before it is ready runs once, and nothing is announced."""
    with home_dir.supervised(end) as process:
        assert process.wait(30) == status
        assert process.stdout is not None
        assert process.stdout.read() == b""
    assert home_dir.count_runs() == 1


def test_the_supervisor_stops_at_the_ninth_crash_in_a_minute(home_dir: Home) -> None:
    """The supervisor restarts Postgres after eight crashes, and exits with 1 at the ninth."""
    with home_dir.supervised(IS_READY, WAIT_FOR_GO, "exit 1") as process:
        wait_until_ready(home_dir, process)
        assert process.wait(30) == 1
    assert home_dir.count_runs() == 9


@pytest.mark.parametrize("trigger", ["close", "HUP", "INT", "TERM"])
@pytest.mark.parametrize("status", [0, 1])
def test_the_end_of_the_owner_shuts_postgres_down(home_dir: Home, trigger: str, status: int) -> None:
    """When the owner closes its pipe or a signal arrives, Postgres gets SIGINT once, and its exit is no crash."""
    trap = f"trap 'echo INT >> signals; exit {status}' INT"
    with home_dir.supervised(trap, IS_READY, "while :; do sleep 0.01; done") as process:
        wait_until_ready(home_dir, process)
        assert process.stdin is not None
        if trigger == "close":
            process.stdin.close()
        else:
            process.send_signal(signal.Signals[f"SIG{trigger}"])
        assert process.wait(30) == 0
    assert (home_dir.folder / "signals").read_text() == "INT\n"
    assert home_dir.count_runs() == 1


def test_input_of_the_owner_stops_nothing(home_dir: Home) -> None:
    """Bytes on standard input are no end of file: Postgres is restarted after a later crash."""
    with home_dir.supervised(IS_READY, "while :; do sleep 0.01; done") as process:
        wait_until_ready(home_dir, process)
        assert process.stdin is not None
        process.stdin.write(b"go on\n")
        process.stdin.flush()
        os.kill(read_postmaster_id(home_dir.folder / "data"), signal.SIGKILL)
        assert wait_until(lambda: home_dir.count_runs() == 2, 30.0)


@pytest.mark.parametrize(("over", "is_truncated"), [(-1, False), (0, False), (1, True)])
def test_a_log_is_truncated_above_its_limit(tmp_path: Path, over: int, is_truncated: bool) -> None:
    """A log at the limit is kept; one byte more, and it is copied and truncated."""
    log = tmp_path / "postgres.log"
    log.touch()
    os.truncate(log, LOG_LIMIT_BYTES + over)
    Supervisor._truncate_log(SimpleNamespace(spec=SimpleNamespace(log=str(log))))  # type: ignore[arg-type] # it uses no other attribute
    assert log.stat().st_size == (0 if is_truncated else LOG_LIMIT_BYTES + over)
    copy = tmp_path / "postgres.log.1"
    assert copy.exists() is is_truncated
    assert not is_truncated or copy.stat().st_size == LOG_LIMIT_BYTES + over


@pytest.mark.parametrize("taken_ports", [1, 4, 5])
def test_five_ports_are_tried(home_dir: Home, taken_ports: int) -> None:
    """Four ports that another program opens first are skipped; the fifth is an error."""
    home_dir.write_program(
        f"[ $(wc -l < runs) -gt {taken_ports} ] || {{ echo 'FATAL:  could not bind IPv4 address'; exit 1; }}",
        IS_READY,
        "trap 'exit 0' INT",
        "while :; do sleep 0.01; done",
    )
    if taken_ports == 5:
        with pytest.raises(PortTakenError, match="found no free port"):
            home_dir.launch()
        assert home_dir.count_runs() == 5
        return
    supervisor, _ = home_dir.launch()
    close_pipes(supervisor)
    assert supervisor.wait(30) == 0
    assert home_dir.count_runs() == taken_ports + 1


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["exit 0"], "did not start: its log is empty"),
        (["exit 1"], "did not start: its log is empty"),
        (["kill -KILL $$"], "did not start: its log is empty"),
        (["echo 'FATAL:  no such thing'", "exit 1"], "did not start: no such thing"),
        (["echo 'PANIC:  No space left on device'", "exit 1"], "is full, so Postgres cannot start"),
    ],
)
def test_a_failed_start_is_reported_with_its_reason(home_dir: Home, lines: list[str], sentence: str) -> None:
    """When Postgres exits before it is ready, the error has its message, whatever its status, after a single run."""
    home_dir.write_program(*lines)
    with pytest.raises(EmbeddedPostgresError, match=sentence):
        home_dir.launch()
    assert home_dir.count_runs() == 1


def test_a_start_that_takes_too_long_is_an_error(home_dir: Home) -> None:
    """A Postgres that does not become ready in time is stopped, and the error says so."""
    home_dir.write_program("trap 'exit 0' INT", "while :; do sleep 0.01; done")
    with pytest.raises(EmbeddedPostgresError, match="was not ready in time"):
        home_dir.launch(0.2)
    assert home_dir.count_runs() <= 1
