"""Kills processes at chosen lines of code: finds the lines of files, records which are reached, and sends SIGKILL."""

import mmap
import os
import signal
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeAlias

Line: TypeAlias = tuple[str, int]
"""A file's absolute path, and the number of a line in it."""


@dataclass(frozen=True, slots=True)
class KillPlan:
    """A process is killed before a line runs for the nth time.

    `seconds` after it first reached a line of `at_work`, any line of `others` will do, and after twice that time any
    line. A process that reaches no line of `at_work` is killed at any line after four times `seconds`.
    """

    point: int
    nth: int
    seconds: float
    at_work: Collection[int] = ()
    others: Collection[int] = ()


class KillPoints:
    """The numbered lines of functions in some files, and which of them this process and its forks have reached.

    The record is in shared memory, so it includes the lines that killed processes reached.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.lines = [line for file in files for line in sorted(_find_lines(file))]
        self._numbers: dict[str, dict[int, int]] = {}
        for number, (name, line) in enumerate(self.lines):
            self._numbers.setdefault(name, {})[line] = number
        self._reached = mmap.mmap(-1, len(self.lines) or 1)

    def reached(self) -> list[int]:
        """Return the numbers of the lines that any process has reached, in the order of the files."""
        return [number for number in range(len(self.lines)) if self._reached[number]]

    def start_tracing(self, plan: KillPlan, report_fd: int) -> None:
        """Trace this process, and kill it with SIGKILL according to the plan.

        Just before the kill, it writes the number of the line as text to the file descriptor `report_fd`.
        """
        reached, numbers = self._reached, self._numbers
        remaining, wait_seconds = plan.nth, plan.seconds
        deadline, at_work = time.monotonic() + 4 * wait_seconds, False

        def at_line(frame: FrameType, event: str, _argument: Any) -> Any:
            nonlocal remaining, deadline, at_work
            if event == "line":
                number = numbers[frame.f_code.co_filename].get(frame.f_lineno)
                if number is not None:
                    reached[number] = 1
                    now = time.monotonic()
                    if not at_work and number in plan.at_work:
                        deadline, at_work = now + 2 * wait_seconds, True
                    remaining -= number == plan.point
                    is_other = at_work and now > deadline - wait_seconds and number in plan.others
                    if remaining <= 0 or is_other or now > deadline:
                        os.write(report_fd, b"%d\n" % number)
                        os.kill(os.getpid(), signal.SIGKILL)
            return at_line

        def at_call(frame: FrameType, _event: str, _argument: Any) -> Any:
            return at_line if frame.f_code.co_filename in numbers else None

        sys.settrace(at_call)


def _find_lines(file: Path) -> set[Line]:
    """Return the lines of a file's functions, without the code that runs on import."""
    name = str(file)
    module = compile(file.read_bytes(), name, "exec")
    return {(name, line) for code in _find_functions(module) for *_, line in code.co_lines() if line is not None} - {
        (name, code.co_firstlineno) for code in _find_functions(module)
    }


def _find_functions(code: CodeType) -> list[CodeType]:
    nested = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    # A class body also runs on import, but contains functions.
    functions = [nested_code for nested_code in nested if nested_code.co_flags & 0x2]
    return functions + [function for nested_code in nested for function in _find_functions(nested_code)]
