"""The child processes of one command: started together, heard in one stream, ended together, none left behind."""

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

from salesmatter import tether
from salesmatter.errors import NotReady, ProcessEnded

GRACE_SECONDS = 8.0
"""How long a program may take to end when asked; then it is killed."""
FORCE_SECONDS = 1.5
POLL_SECONDS = 0.1
LAST_LINES = 12


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: `environment` is added to this process's own."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path


@dataclass(slots=True)
class _Child:
    program: Program
    process: "subprocess.Popen[str]"
    reader: threading.Thread
    last: "collections.deque[str]" = field(default_factory=lambda: collections.deque(maxlen=LAST_LINES))


class Processes:
    """A family of child processes, as a context manager; leaving it ends them all.

    `hear(name, line)` gets every line they write, on threads of its own.
    """

    def __init__(self, hear: Callable[[str, str], None]) -> None:
        self._hear = hear
        self._children: list[_Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, program: Program) -> None:
        """Start a program. It ends with this process, however that ends."""
        # In a session of its own, so that Ctrl-C in the terminal reaches this process alone, which then ends all.
        process = subprocess.Popen(  # noqa: S603 - our own programs
            [sys.executable, "-I", "-S", tether.__file__, str(GRACE_SECONDS), *program.command],
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

    def check(self) -> None:
        """Raise ProcessEnded when one of them has ended."""
        for child in self._children:
            status = child.process.poll()
            if status is not None:
                child.reader.join(1.0)
                said = "\n".join(f"  {line}" for line in child.last)
                raise ProcessEnded(
                    f"The {child.program.name} process ended with status {status}"
                    + (f"; the last it said:\n{said}" if said else " and said nothing.")
                )

    def wait_for(self, name: str, is_ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `is_ready`; raises ProcessEnded when any of them ends, NotReady when it takes too long."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise NotReady(f"The {name} process was not ready within {seconds:.0f} s.")
            time.sleep(POLL_SECONDS)

    def watch(self) -> None:
        """Go on until one of them ends, then raise ProcessEnded."""
        while True:
            self.check()
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Ask all to end, at once, and wait; those that do not are killed."""
        for child in self._children:
            assert child.process.stdin is not None
            child.process.stdin.close()
        deadline = time.monotonic() + GRACE_SECONDS + FORCE_SECONDS
        for child in self._children:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                # The kernel ends the program with its tether.
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
            child.last.append(text)
            self._hear(child.program.name, text)
