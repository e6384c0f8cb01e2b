"""How the supervisor of Postgres starts it and what it makes of each end, with a shell script in Postgres' place."""

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
from database.embedded_process import LOG_LIMIT_BYTES, READY, Order, Supervisor
from tests.database.embedded.processes import eventually, postmaster_of

IS_READY = "printf '%s\\n' $$ 2 3 4 5 6 7 ready > data/postmaster.pid"
UNTIL_TOLD = "while [ ! -e go ]; do sleep 0.01; done"
COUNT = "echo run >> runs"


class Home:
    """A folder with a data directory, a program called postgres, and a count of its runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "data").mkdir()
        (folder / "bin").mkdir()

    def program(self, *lines: str) -> str:
        """Write the program."""
        path = self.folder / "bin" / "postgres"
        path.write_text("\n".join(["#!/bin/sh", f"cd '{self.folder}'", COUNT, *lines, ""]))
        path.chmod(0o755)
        return str(path)

    def runs(self) -> int:
        """How often the program was run."""
        runs = self.folder / "runs"
        return len(runs.read_text().splitlines()) if runs.exists() else 0

    @contextmanager
    def supervised(self, *lines: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the program under a supervisor whose owner is this process."""
        order = Order(
            command=[self.program(*lines)],
            data=str(self.folder / "data"),
            log=str(self.folder / "postgres.log"),
            announcement=str(self.folder / "server.json"),
            owner=os.getpid(),
            user=None,
            group=None,
        )
        (self.folder / "server.json").write_text("{}")
        command = [sys.executable, "-I", "-S", embedded_process.__file__, order.to_text()]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                yield process
            finally:
                process.kill()

    def launched(self, seconds: float = 30.0) -> "tuple[subprocess.Popen[bytes], int]":
        """Start the program as the embedded Postgres is started."""
        cluster = Cluster(self.folder, self.folder, self.folder / "bin", 18, None)
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            return launch(cluster, lock, durable=False, deadline=time.monotonic() + seconds)
        finally:
            os.close(lock)


@pytest.fixture
def place(tmp_path: Path) -> Home:
    """A folder of the test's own."""
    return Home(tmp_path)


def become_ready(place: Home, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the supervisor says that Postgres is ready, and let the program go on."""
    assert process.stdout is not None
    assert process.stdout.read(len(READY)) == READY
    (place.folder / "go").touch()


def test_an_orderly_end_ends_all(place: Home) -> None:
    """A Postgres that somebody shut down, with 0, is not started again, and its announcement goes."""
    with place.supervised(IS_READY, UNTIL_TOLD, "exit 0") as process:
        become_ready(place, process)
        assert process.wait(30) == 0
    assert place.runs() == 1
    assert not (place.folder / "server.json").exists()


@pytest.mark.parametrize("end", ["exit 1", "exit 2", "kill -KILL $$", "kill -TERM $$", "kill -INT $$"])
def test_every_other_end_is_a_crash(place: Home, end: str) -> None:
    """A Postgres that ended with another status, or by a signal, is started again."""
    crash = f"[ $(wc -l < runs) -gt 1 ] || {{ {end}; }}"
    with place.supervised(IS_READY, UNTIL_TOLD, crash, "exit 0") as process:
        become_ready(place, process)
        assert process.wait(30) == 0
    assert place.runs() == 2


@pytest.mark.parametrize(("end", "status"), [("exit 0", 0), ("exit 1", 1), ("kill -KILL $$", 1)])
def test_an_end_before_it_was_ready_is_not_tried_again(place: Home, end: str, status: int) -> None:
    """What never became ready would not become so: one run, and nothing is announced."""
    with place.supervised(end) as process:
        assert process.wait(30) == status
        assert process.stdout is not None
        assert process.stdout.read() == b""
    assert place.runs() == 1


def test_the_ninth_crash_in_a_minute_is_the_last(place: Home) -> None:
    """Eight crashes are survived; with the ninth the supervisor gives up with 1."""
    with place.supervised(IS_READY, UNTIL_TOLD, "exit 1") as process:
        become_ready(place, process)
        assert process.wait(30) == 1
    assert place.runs() == 9


@pytest.mark.parametrize("ask", ["close", "HUP", "INT", "TERM"])
@pytest.mark.parametrize("status", [0, 1])
def test_the_owners_end_shuts_postgres_down(place: Home, ask: str, status: int) -> None:
    """When the owner lets go, or a signal asks for it, Postgres gets SIGINT once, and its status is no crash."""
    trapped = f"trap 'echo INT >> asked; exit {status}' INT"
    with place.supervised(trapped, IS_READY, "while :; do sleep 0.01; done") as process:
        become_ready(place, process)
        assert process.stdin is not None
        if ask == "close":
            process.stdin.close()
        else:
            process.send_signal(signal.Signals[f"SIG{ask}"])
        assert process.wait(30) == 0
    assert (place.folder / "asked").read_text() == "INT\n"
    assert place.runs() == 1


def test_words_of_the_owner_end_nothing(place: Home) -> None:
    """Bytes on its input are no end of file: a crash after them is survived as before."""
    with place.supervised(IS_READY, "while :; do sleep 0.01; done") as process:
        become_ready(place, process)
        assert process.stdin is not None
        process.stdin.write(b"go on\n")
        process.stdin.flush()
        os.kill(postmaster_of(place.folder / "data"), signal.SIGKILL)
        assert eventually(lambda: place.runs() == 2, 30.0)


@pytest.mark.parametrize(("over", "is_cut"), [(-1, False), (0, False), (1, True)])
def test_a_log_is_cut_above_its_limit(tmp_path: Path, over: int, is_cut: bool) -> None:
    """A log as large as the limit stays; one byte more, and it goes on empty beside its copy."""
    log = tmp_path / "postgres.log"
    log.touch()
    os.truncate(log, LOG_LIMIT_BYTES + over)
    Supervisor._bound_log(SimpleNamespace(order=SimpleNamespace(log=str(log))))  # type: ignore[arg-type] # it asks for no more
    assert log.stat().st_size == (0 if is_cut else LOG_LIMIT_BYTES + over)
    copy = tmp_path / "postgres.log.1"
    assert copy.exists() is is_cut
    assert not is_cut or copy.stat().st_size == LOG_LIMIT_BYTES + over


@pytest.mark.parametrize("taken", [1, 4, 5])
def test_five_ports_are_tried(place: Home, taken: int) -> None:
    """Four ports that another program takes first are survived; the fifth is told."""
    place.program(
        f"[ $(wc -l < runs) -gt {taken} ] || {{ echo 'FATAL:  could not bind IPv4 address'; exit 1; }}",
        IS_READY,
        "trap 'exit 0' INT",
        "while :; do sleep 0.01; done",
    )
    if taken == 5:
        with pytest.raises(PortTakenError, match="found no free port"):
            place.launched()
        assert place.runs() == 5
        return
    supervisor, _ = place.launched()
    close_pipes(supervisor)
    assert supervisor.wait(30) == 0
    assert place.runs() == taken + 1


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["exit 0"], "does not start: its log is empty"),
        (["exit 1"], "does not start: its log is empty"),
        (["kill -KILL $$"], "does not start: its log is empty"),
        (["echo 'FATAL:  no such thing'", "exit 1"], "does not start: no such thing"),
        (["echo 'PANIC:  No space left on device'", "exit 1"], "is full, so Postgres cannot start"),
    ],
)
def test_each_end_of_a_start_is_a_sentence(place: Home, lines: list[str], sentence: str) -> None:
    """A Postgres that ends before it is ready is told in its own words, whatever its status, after a single run."""
    place.program(*lines)
    with pytest.raises(EmbeddedPostgresError, match=sentence):
        place.launched()
    assert place.runs() == 1


def test_a_start_that_takes_too_long_is_a_sentence(place: Home) -> None:
    """A Postgres that does not become ready in time is ended and told."""
    place.program("trap 'exit 0' INT", "while :; do sleep 0.01; done")
    with pytest.raises(EmbeddedPostgresError, match="did not become ready in time"):
        place.launched(0.2)
    assert place.runs() <= 1
