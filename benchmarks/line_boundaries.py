"""The lines of chosen files at which a process can be killed: found in the code, recorded when reached, appointed."""

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
class Appointment:
    """To die before a line runs for the nth time.

    So many seconds after it first came to a line of `at_work` any of `others` will do, and after as many again whatever
    line comes next; one that comes to none waits four times as long.
    """

    boundary: int
    nth: int
    seconds: float
    at_work: Collection[int] = ()
    others: Collection[int] = ()


class Boundaries:
    """The lines of functions in some files, by number, and what came of each in this process and those it forks.

    What a killed process has seen stays: it is in memory that forked processes share.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.lines = [line for file in files for line in sorted(_lines_of(file))]
        self._numbers: dict[str, dict[int, int]] = {}
        for number, (name, line) in enumerate(self.lines):
            self._numbers.setdefault(name, {})[line] = number
        self._seen = mmap.mmap(-1, len(self.lines) or 1)

    def reached(self) -> list[int]:
        """Return the boundaries that any process has come to, in the order of the files."""
        return [number for number in range(len(self.lines)) if self._seen[number]]

    def keep(self, appointment: Appointment, note: int) -> None:
        """Trace this process from here on, and kill it with SIGKILL as appointed, its boundary's number in `note`.

        `note` is a file descriptor that gets the number, a line of text, just before.
        """
        seen, numbers = self._seen, self._numbers
        left, patience = appointment.nth, appointment.seconds
        over, at_work = time.monotonic() + 4 * patience, False

        def at_line(frame: FrameType, event: str, _argument: Any) -> Any:
            nonlocal left, over, at_work
            if event == "line":
                number = numbers[frame.f_code.co_filename].get(frame.f_lineno)
                if number is not None:
                    seen[number] = 1
                    now = time.monotonic()
                    if not at_work and number in appointment.at_work:
                        over, at_work = now + 2 * patience, True
                    left -= number == appointment.boundary
                    will_do = at_work and now > over - patience and number in appointment.others
                    if left <= 0 or will_do or now > over:
                        os.write(note, b"%d\n" % number)
                        os.kill(os.getpid(), signal.SIGKILL)
            return at_line

        def at_call(frame: FrameType, _event: str, _argument: Any) -> Any:
            return at_line if frame.f_code.co_filename in numbers else None

        sys.settrace(at_call)


def _lines_of(file: Path) -> set[Line]:
    """Return the lines of a file's functions; what runs on import is none of them."""
    name = str(file)
    module = compile(file.read_bytes(), name, "exec")
    return {(name, line) for code in _functions(module) for *_, line in code.co_lines() if line is not None} - {
        (name, code.co_firstlineno) for code in _functions(module)
    }


def _functions(code: CodeType) -> list[CodeType]:
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    # A class body is run on import as well, but holds functions.
    found = [one for one in inner if one.co_flags & 0x2]
    return found + [deeper for one in inner for deeper in _functions(one)]
