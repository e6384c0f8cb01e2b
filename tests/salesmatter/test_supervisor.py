"""Tests of the supervisor between an owner and its program."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from salesmatter import supervisor

EXITS_WITH_7 = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done"
IGNORES_SIGTERM = "trap '' TERM; echo ready; while :; do sleep 0.01; done"


@contextmanager
def supervise(program: str, grace: float = 30.0) -> Iterator["subprocess.Popen[str]"]:
    """Run a shell program under a supervisor whose owner is this test."""
    command = [sys.executable, "-I", "-S", supervisor.__file__, str(grace), "/bin/sh", "-c", program]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_line(process: "subprocess.Popen[str]") -> str:
    """Return the next line of the program's output."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize(
    ("program", "status"),
    [
        *(("exit 0", 0), ("exit 1", 1), ("exit 127", 127), ("exit 255", 255)),
        *(("kill -HUP $$", 129), ("kill -INT $$", 130), ("kill -KILL $$", 137), ("kill -TERM $$", 143)),
    ],
)
def test_the_exit_status_is_the_programs(program: str, status: int) -> None:
    """The exit status of the program is passed on, and a signal that ended it as 128 plus its number."""
    with supervise(program) as process:
        assert process.wait(30) == status


@pytest.mark.parametrize("stop", ["close", "HUP", "INT", "TERM"])
def test_a_stop_is_passed_on_as_sigterm(stop: str) -> None:
    """End of file on standard input, or a stop signal, becomes SIGTERM for the program."""
    with supervise(EXITS_WITH_7) as process:
        assert read_line(process) == "ready"
        if stop == "close":
            assert process.stdin is not None
            process.stdin.close()
        else:
            process.send_signal(signal.Signals[f"SIG{stop}"])
        assert process.wait(30) == 7


def test_a_program_that_ignores_sigterm_is_killed() -> None:
    """After the grace period the program gets SIGKILL, and the exit status is 137."""
    with supervise(IGNORES_SIGTERM, grace=0.05) as process:
        assert read_line(process) == "ready"
        process.terminate()
        assert process.wait(30) == 137


def test_input_and_ends_of_grandchildren_do_not_stop_the_program() -> None:
    """Bytes on standard input, and a child of the program that ends, leave the program running."""
    with supervise("(exit 3) & wait $!; echo first; sleep 0.2; echo second; exec sleep 600") as process:
        assert process.stdin is not None
        process.stdin.write("go on\n")
        process.stdin.flush()
        assert [read_line(process), read_line(process)] == ["first", "second"]
        assert process.poll() is None


def test_a_missing_program_exits_with_127(capfd: pytest.CaptureFixture[str]) -> None:
    """A command that cannot be started prints an error and exits with 127, as in a shell."""
    command = [sys.executable, "-I", "-S", supervisor.__file__, "1", "/nowhere/program"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
    assert result.returncode == 127
    assert capfd.readouterr().err == "/nowhere/program cannot be started: No such file or directory\n"
