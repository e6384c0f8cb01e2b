import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from salesmatter.errors import NotReady, ProcessEnded
from salesmatter.processes import Processes, Program
from tests import ROOT

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)
PATIENT = "import time; print('here', flush=True); time.sleep(600)"


class Heard(list[tuple[str, str]]):
    """What processes said, as (name, line)."""

    def hear(self, name: str, line: str) -> None:
        self.append((name, line))


def python(name: str, code: str, *arguments: str) -> Program:
    """A program of a few lines."""
    return Program(name, [sys.executable, "-c", code, *arguments], {}, ROOT)


def wait_until(condition: Callable[[], bool], within: float = 20.0) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.02)


def lives(process: int) -> bool:
    """Whether a process runs; one that has ended and waits to be noticed does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_their_lines_come_with_their_names() -> None:
    """What each process writes is heard line by line, whichever stream it writes to."""
    heard = Heard()
    with Processes(heard.hear) as processes:
        processes.start(python("one", "import sys; print('a'); print('b', file=sys.stderr); " + PATIENT))
        processes.start(python("two", PATIENT))
        wait_until(lambda: {("one", "a"), ("one", "b"), ("two", "here")} <= set(heard))


def test_one_that_ends_is_named_with_its_last_words() -> None:
    """An unexpected end says which process, how, and what it said last; the others are ended."""
    heard = Heard()
    with Processes(heard.hear) as processes:
        processes.start(python("api", "import os; print(os.getpid(), flush=True); " + PATIENT))
        wait_until(lambda: len(heard) > 1)
        processes.start(python("worker", "import sys; print('no disk'); sys.exit(3)"))
        with pytest.raises(ProcessEnded, match=r"The worker process ended with status 3; the last it said:\n  no disk"):
            processes.watch()
    api = int(next(line for name, line in heard if name == "api" and line.isdigit()))
    assert not lives(api)


@pytest.mark.parametrize("wait", ["watch", "wait_for"])
@pytest.mark.parametrize(
    ("end", "status"),
    [
        *(("exit 0", 0), ("exit 1", 1), ("exit 255", 255)),
        *((f"kill -{name} $$", 128 + number) for name, number in (("HUP", 1), ("INT", 2), ("KILL", 9), ("TERM", 15))),
    ],
)
def test_every_end_of_one_ends_all(end: str, status: int, wait: str) -> None:
    """An end with 0 is as unexpected as one with 1 or by a signal: it is named, whether the others are ready or not."""
    heard = Heard()
    with Processes(heard.hear) as processes:
        processes.start(python("api", PATIENT))
        processes.start(Program("worker", ["/bin/sh", "-c", end], {}, ROOT))
        with pytest.raises(ProcessEnded) as caught:
            processes.watch() if wait == "watch" else processes.wait_for("api", lambda: False, 60)
    assert str(caught.value) == f"The worker process ended with status {status} and said nothing."


@pytest.mark.parametrize("lines", [1, 11, 12, 13])
def test_the_last_twelve_lines_are_repeated(lines: int) -> None:
    """All lines are heard; the error repeats the last twelve, also one that no line break ends."""
    heard = Heard()
    with Processes(heard.hear) as processes:
        printing = f"i=1; while [ $i -lt {lines} ]; do echo line $i; i=$((i+1)); done; printf 'line %s' $i"
        processes.start(Program("worker", ["/bin/sh", "-c", printing], {}, ROOT))
        with pytest.raises(ProcessEnded) as caught:
            processes.watch()
    written = [f"line {number}" for number in range(1, lines + 1)]
    assert [line for _, line in heard] == written
    repeated = "".join(f"\n  {line}" for line in written[-12:])
    assert str(caught.value) == f"The worker process ended with status 0; the last it said:{repeated}"


def test_one_that_closes_its_output_goes_on() -> None:
    """A process that writes nothing more has not ended: it is noticed when it does."""
    looks: list[int] = []
    with Processes(Heard().hear) as processes:
        processes.start(Program("quiet", ["/bin/sh", "-c", "exec >&- 2>&-; exec sleep 600"], {}, ROOT))
        processes.start(python("loud", PATIENT))
        processes.wait_for("loud", lambda: looks.append(1) or len(looks) > 3, 60)  # type: ignore[func-returns-value] # it counts
        processes.check()
    assert len(looks) == 4


def test_a_program_that_cannot_be_started_has_ended(tmp_path: Path) -> None:
    """A missing program is told as one that ended, in its own words."""
    with Processes(Heard().hear) as processes:
        processes.start(Program("ghost", [str(tmp_path / "ghost")], {}, ROOT))
        with pytest.raises(ProcessEnded, match="ghost cannot be started: No such file or directory"):
            processes.watch()


def test_waiting_gives_up_in_time() -> None:
    """A process that never becomes ready is named."""
    with Processes(Heard().hear) as processes:
        processes.start(python("slow", PATIENT))
        with pytest.raises(NotReady, match="The slow process was not ready within 0 s"):
            processes.wait_for("slow", lambda: False, 0.2)


def test_one_that_does_not_listen_is_killed() -> None:
    """Whoever ignores the request to end is ended by force, with all that it started."""
    heard = Heard()
    spawning = (
        "import os, subprocess, sys; "
        f"deaf = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}], start_new_session=True); "
        f"print(deaf.pid, os.getpid(), flush=True); {STUBBORN}"
    )
    with Processes(heard.hear) as processes:
        processes.start(python("deaf", spawning))
        wait_until(lambda: [line for _, line in heard].count("deaf") == 2)
    pids = next(line for _, line in heard if line != "deaf")
    assert not [pid for pid in map(int, pids.split()) if lives(pid)]


@contextlib.contextmanager
def owner(code: str) -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """A process that owns two children, and the ids of the children."""
    script = (
        "import sys, os\nfrom pathlib import Path\nfrom salesmatter.processes import Processes, Program\n"
        f"child = {code!r}\n"
        "with Processes(lambda name, line: print(line, flush=True)) as processes:\n"
        "    for name in ('a', 'b'):\n"
        "        processes.start(Program(name, [sys.executable, '-c', child], {}, Path.cwd()))\n"
        "    processes.watch()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, [int(process.stdout.readline()) for _ in range(2)]
        finally:
            process.kill()


def test_killing_the_owner_leaves_nothing() -> None:
    """A kill -9 of the process that started them ends the children, also those that do not listen."""
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with owner(code) as (process, children):
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not any(map(lives, children)))


def test_killing_what_holds_a_child_ends_the_child() -> None:
    """A kill -9 of the small process between owner and child ends the child too (Linux)."""
    if sys.platform != "linux":
        pytest.skip("the kernel does this on Linux alone")
    with owner("import os, time; print(os.getpid(), flush=True); time.sleep(600)") as (_, children):
        parent = int(Path(f"/proc/{children[0]}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(parent, signal.SIGKILL)
        wait_until(lambda: not any(map(lives, children)))
