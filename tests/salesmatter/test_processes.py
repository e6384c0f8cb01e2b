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

IGNORES_SIGTERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)
SLEEPS = "import time; print('here', flush=True); time.sleep(600)"


class Output(list[tuple[str, str]]):
    """The output of processes, as (name, line)."""

    def add_line(self, name: str, line: str) -> None:
        self.append((name, line))


def python(name: str, code: str, *arguments: str) -> Program:
    """Return a Python program of a few lines."""
    return Program(name, [sys.executable, "-c", code, *arguments], {}, ROOT)


def wait_until(condition: Callable[[], bool], within: float = 20.0) -> None:
    """Poll until the condition is true."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.02)


def is_running(process: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_each_line_comes_with_the_name_of_its_process() -> None:
    """Lines of standard output and standard error are passed on, with the name of their process."""
    output = Output()
    with Processes(output.add_line) as processes:
        processes.start(python("one", "import sys; print('a'); print('b', file=sys.stderr); " + SLEEPS))
        processes.start(python("two", SLEEPS))
        wait_until(lambda: {("one", "a"), ("one", "b"), ("two", "here")} <= set(output))


def test_a_process_that_ends_is_named_with_its_last_output() -> None:
    """The error names the process, its status and its last output; the other processes are stopped."""
    output = Output()
    with Processes(output.add_line) as processes:
        processes.start(python("api", "import os; print(os.getpid(), flush=True); " + SLEEPS))
        wait_until(lambda: len(output) > 1)
        processes.start(python("worker", "import sys; print('no disk'); sys.exit(3)"))
        with pytest.raises(ProcessEnded, match=r"The worker process ended with status 3. Its last output:\n  no disk"):
            processes.watch()
    api = int(next(line for name, line in output if name == "api" and line.isdigit()))
    assert not is_running(api)


@pytest.mark.parametrize("wait", ["watch", "wait_for"])
@pytest.mark.parametrize(
    ("end", "status"),
    [
        *(("exit 0", 0), ("exit 1", 1), ("exit 255", 255)),
        *((f"kill -{name} $$", 128 + number) for name, number in (("HUP", 1), ("INT", 2), ("KILL", 9), ("TERM", 15))),
    ],
)
def test_a_process_that_ends_raises_an_error(end: str, status: int, wait: str) -> None:
    """Any exit status or signal is an error, both while the processes start and later."""
    with Processes(Output().add_line) as processes:
        processes.start(python("api", SLEEPS))
        processes.start(Program("worker", ["/bin/sh", "-c", end], {}, ROOT))
        with pytest.raises(ProcessEnded) as caught:
            processes.watch() if wait == "watch" else processes.wait_for("api", lambda: False, 60)
    assert str(caught.value) == f"The worker process ended with status {status} and no output."


@pytest.mark.parametrize("lines", [1, 11, 12, 13])
def test_the_last_twelve_lines_are_repeated(lines: int) -> None:
    """All lines are passed on; the error repeats the last twelve, including one without a line break at its end."""
    output = Output()
    with Processes(output.add_line) as processes:
        printing = f"i=1; while [ $i -lt {lines} ]; do echo line $i; i=$((i+1)); done; printf 'line %s' $i"
        processes.start(Program("worker", ["/bin/sh", "-c", printing], {}, ROOT))
        with pytest.raises(ProcessEnded) as caught:
            processes.watch()
    written = [f"line {number}" for number in range(1, lines + 1)]
    assert [line for _, line in output] == written
    repeated = "".join(f"\n  {line}" for line in written[-12:])
    assert str(caught.value) == f"The worker process ended with status 0. Its last output:{repeated}"


def test_a_process_may_close_its_output() -> None:
    """A process that has closed its output still counts as running."""
    polls: list[int] = []
    with Processes(Output().add_line) as processes:
        processes.start(Program("quiet", ["/bin/sh", "-c", "exec >&- 2>&-; exec sleep 600"], {}, ROOT))
        processes.start(python("loud", SLEEPS))
        processes.wait_for("loud", lambda: polls.append(1) or len(polls) > 3, 60)  # type: ignore[func-returns-value] # it counts
        processes.require_running()
    assert len(polls) == 4


def test_a_program_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    """A missing program is reported like a process that has ended."""
    with Processes(Output().add_line) as processes:
        processes.start(Program("ghost", [str(tmp_path / "ghost")], {}, ROOT))
        with pytest.raises(ProcessEnded, match="ghost cannot be started: No such file or directory"):
            processes.watch()


def test_waiting_for_a_process_times_out() -> None:
    """The error names the process that did not become ready."""
    with Processes(Output().add_line) as processes:
        processes.start(python("slow", SLEEPS))
        with pytest.raises(NotReady, match="The slow process was not ready within 0 s"):
            processes.wait_for("slow", lambda: False, 0.2)


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    """A process that ignores SIGTERM is killed, together with its child processes."""
    output = Output()
    spawning = (
        "import os, subprocess, sys; "
        f"child = subprocess.Popen([sys.executable, '-c', {IGNORES_SIGTERM!r}], start_new_session=True); "
        f"print(child.pid, os.getpid(), flush=True); {IGNORES_SIGTERM}"
    )
    with Processes(output.add_line) as processes:
        processes.start(python("parent", spawning))
        wait_until(lambda: [line for _, line in output].count("ready") == 2)
    pids = next(line for _, line in output if line != "ready")
    assert not [pid for pid in map(int, pids.split()) if is_running(pid)]


@contextlib.contextmanager
def start_owner(code: str) -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """Start a process that owns two children, and yield it with the ids of the children."""
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


def test_killing_the_owner_ends_its_children() -> None:
    """After a kill -9 of the owner its children end."""
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with start_owner(code) as (process, children):
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not any(map(is_running, children)))


def test_killing_the_supervisor_ends_its_program() -> None:
    """After a kill -9 of the supervisor between owner and program the program ends too (Linux)."""
    if sys.platform != "linux":
        pytest.skip("only the Linux kernel does this")
    with start_owner("import os, time; print(os.getpid(), flush=True); time.sleep(600)") as (_, children):
        parent = int(Path(f"/proc/{children[0]}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(parent, signal.SIGKILL)
        wait_until(lambda: not any(map(is_running, children)))
