"""Starts and stops the child processes of a command, and passes on their output."""

import collections
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from salesmatter import supervisor
from salesmatter.errors import NotReady, ProcessEnded

GRACE_SECONDS = 8.0
"""How long a program may take to stop after SIGTERM; then it is killed."""
KILL_SECONDS = 1.5
POLL_SECONDS = 0.1
LAST_LINES = 12


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run; `environment` is added to the environment of this process."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path


@dataclass(slots=True)
class _Child:
    program: Program
    process: "subprocess.Popen[str]"
    reader: threading.Thread
    last_lines: "collections.deque[str]" = field(default_factory=lambda: collections.deque(maxlen=LAST_LINES))


class Processes:
    """Context manager for child processes, which stops all of them at its end.

    Every line of their output is passed to `on_line(name, line)`, in one thread per process.
    """

    def __init__(self, on_line: Callable[[str, str], None]) -> None:
        self._on_line = on_line
        self._children: list[_Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, program: Program) -> None:
        """Start a program; it is stopped when this process ends, even if this process is killed."""
        # Use a separate session, so that Ctrl-C in the terminal reaches only this process, which then stops all others.
        process = subprocess.Popen(  # noqa: S603 - our own programs
            [sys.executable, "-I", "-S", supervisor.__file__, str(GRACE_SECONDS), *program.command],
            cwd=program.directory,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **program.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        child = _Child(program, process, threading.Thread(daemon=True, target=lambda: self._read(child)))
        self._children.append(child)
        child.reader.start()

    def require_running(self) -> None:
        """Raise ProcessEnded if a process has ended."""
        for child in self._children:
            status = child.process.poll()
            if status is not None:
                child.reader.join(1.0)
                output = "\n".join(f"  {line}" for line in child.last_lines)
                raise ProcessEnded(
                    f"The {child.program.name} process ended with status {status}"
                    + (f". Its last output:\n{output}" if output else " and no output.")
                )

    def wait_for(self, name: str, is_ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `is_ready`; raises ProcessEnded if any process ends, and NotReady after the given seconds."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            self.require_running()
            if time.monotonic() > deadline:
                raise NotReady(f"The {name} process was not ready within {seconds:.0f} s.")
            time.sleep(POLL_SECONDS)

    def watch(self) -> None:
        """Wait until one of the processes ends, then raise ProcessEnded."""
        while True:
            self.require_running()
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Ask all processes to stop and wait for them; those that do not stop in time are killed."""
        for child in self._children:
            assert child.process.stdin is not None
            child.process.stdin.close()
        deadline = time.monotonic() + GRACE_SECONDS + KILL_SECONDS
        for child in self._children:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                # The kernel kills the program together with its supervisor.
                child.process.kill()
                child.process.wait()
            child.reader.join(1.0)
            if not child.reader.is_alive() and child.process.stdout is not None:
                child.process.stdout.close()
        self._children.clear()

    def _read(self, child: _Child) -> None:
        assert child.process.stdout is not None
        for line in child.process.stdout:
            text = line.rstrip()
            child.last_lines.append(text)
            self._on_line(child.program.name, text)
