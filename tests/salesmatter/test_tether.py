"""The small process between owner and program: how each end of either reaches the other."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from salesmatter import tether

TRAPPED = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done"
DEAF = "trap '' TERM; echo ready; while :; do sleep 0.01; done"


@contextmanager
def tethered(program: str, grace: float = 30.0) -> Iterator["subprocess.Popen[str]"]:
    """Run a shell program on a tether whose other end this test holds."""
    command = [sys.executable, "-I", "-S", tether.__file__, str(grace), "/bin/sh", "-c", program]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: "subprocess.Popen[str]") -> str:
    """Return the next line that the program writes."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize(
    ("program", "status"),
    [
        *(("exit 0", 0), ("exit 1", 1), ("exit 127", 127), ("exit 255", 255)),
        *(("kill -HUP $$", 129), ("kill -INT $$", 130), ("kill -KILL $$", 137), ("kill -TERM $$", 143)),
    ],
)
def test_the_status_is_the_programs(program: str, status: int) -> None:
    """A program's exit status is passed on as it is, and a signal that ended it as 128 and its number."""
    with tethered(program) as process:
        assert process.wait(30) == status


@pytest.mark.parametrize("ask", ["close", "HUP", "INT", "TERM"])
def test_a_request_to_end_is_passed_on(ask: str) -> None:
    """End of file on its input, or a signal to end, becomes SIGTERM for the program, which ends as it likes."""
    with tethered(TRAPPED) as process:
        assert line_of(process) == "ready"
        if ask == "close":
            assert process.stdin is not None
            process.stdin.close()
        else:
            process.send_signal(signal.Signals[f"SIG{ask}"])
        assert process.wait(30) == 7


def test_a_program_that_ignores_the_request_is_killed() -> None:
    """When the grace is over, the program gets SIGKILL, and that is its status."""
    with tethered(DEAF, grace=0.05) as process:
        assert line_of(process) == "ready"
        process.terminate()
        assert process.wait(30) == 137


def test_words_of_the_owner_and_ends_of_grandchildren_end_nothing() -> None:
    """Bytes on its input that are no end of file, and a child of the program that ends, leave the program running."""
    with tethered("(exit 3) & wait $!; echo first; sleep 0.2; echo second; exec sleep 600") as process:
        assert process.stdin is not None
        process.stdin.write("go on\n")
        process.stdin.flush()
        assert [line_of(process), line_of(process)] == ["first", "second"]
        assert process.poll() is None


def test_a_program_that_is_not_there_is_127(capfd: pytest.CaptureFixture[str]) -> None:
    """A command that cannot be started is said in its own words, with the status that shells give."""
    command = [sys.executable, "-I", "-S", tether.__file__, "1", "/nowhere/program"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
    assert ended.returncode == 127
    assert capfd.readouterr().err == "/nowhere/program cannot be started: No such file or directory\n"
