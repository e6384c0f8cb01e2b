r"""Reads records out of lines, and gives up on a damaged one without giving up on those after it.

A quotation mark that is never closed would swallow the rest of a file. Here it costs the line it stands in: a record
that does not end within some lines, or ends with something after its closing mark, is taken for damaged, and reading
goes on with the next line.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from api.tabular.text import MAX_LINE_CHARACTERS

MAX_RECORD_LINES = 100
BLANKS = " \t\r\n\u00a0\u200b\ufeff"
"""What is trimmed off a cell."""

# The csv module's own limit, for the whole process, is below what a line may hold here.
csv.field_size_limit(MAX_LINE_CHARACTERS * MAX_RECORD_LINES)

UNCLOSED = "A quotation mark in this row is never closed."


@dataclass(frozen=True, slots=True)
class Record:
    """One row: the line it begins at, counted from 1, its cells, and what is wrong with it."""

    line_number: int
    cells: list[str]
    error: str | None = None
    line_count: int = 1


class _State(Enum):
    COMPLETE = auto()
    OPEN = auto()
    BROKEN = auto()


class Syntax:
    """What a record looks like between delimiters of one kind."""

    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter
        d = re.escape(delimiter)
        inside = r'[^"]*+(?:""[^"]*+)*+'
        field = rf'(?:[ ]*+"{inside}"[ ]*+|(?![ ]*+")[^{d}]*+)'
        self._complete = re.compile(rf"{field}(?:{d}{field})*+")
        self._open = re.compile(rf'(?:{field}{d})*+[ ]*+"{inside}')
        self._inside = re.compile(inside)
        self._closing = re.compile(rf'{inside}"[ ]*+({d}|\Z)')
        plain = rf'(?:"[^"]*(?:""[^"]*)*"|[^"{d}]*)'
        self.simple = rf"^{plain}(?:{d}{plain})*$"
        """Which lines are whole records beyond doubt, as a regular expression of Polars' kind."""
        self.blanks = f'{delimiter}" \t'
        """What a row is made of that holds nothing."""

    def state(self, line: str, *, is_inside: bool) -> _State:
        """Say how a record stands after `line`, which may begin inside a quoted cell."""
        rest = line
        if is_inside:
            closing = self._closing.match(line)
            if closing is None:
                return _State.OPEN if self._inside.fullmatch(line) else _State.BROKEN
            if not closing[1]:
                return _State.COMPLETE
            rest = line[closing.end() :]
        if self._complete.fullmatch(rest):
            return _State.COMPLETE
        return _State.OPEN if self._open.fullmatch(rest) else _State.BROKEN

    def is_blank(self, line: str) -> bool:
        """Say whether a row holds nothing."""
        return not line.strip(self.blanks)

    def cells(self, text: str) -> list[str]:
        """Return the cells of a record."""
        if '"' not in text:
            return text.split(self.delimiter)
        return next(csv.reader([text], delimiter=self.delimiter, skipinitialspace=True))


def read_records(
    lines: Sequence[str], syntax: Syntax, *, first_number: int, at_end: bool, width: int | None = None
) -> tuple[list[Record], int]:
    """Return the records of some lines, blank ones left out, and how many of the lines they took.

    Fewer lines are taken than given when the last record needs more and there are more (`at_end` is false). With a
    `width`, a record of another width is damaged; blank cells beyond it are dropped.
    """
    records: list[Record] = []
    at = 0
    while at < len(lines):
        end = at + 1
        state = syntax.state(lines[at], is_inside=False) if '"' in lines[at] else _State.COMPLETE
        while state is _State.OPEN and end < len(lines) and end - at < MAX_RECORD_LINES:
            state = syntax.state(lines[end], is_inside=True)
            end += 1
        if state is _State.OPEN and not at_end and end - at < MAX_RECORD_LINES:
            return records, at
        record = _record(lines[at:end], state, syntax, first_number + at, width)
        if record is None:
            # What it swallowed may hold good rows.
            record, end = Record(first_number + at, [lines[at]], UNCLOSED), at + 1
        if not syntax.is_blank("".join(lines[at:end])):
            records.append(record)
        at = end
    return records, at


def _record(lines: Sequence[str], state: _State, syntax: Syntax, number: int, width: int | None) -> Record | None:
    """Return the record that `lines` make up, or None when they cannot be one."""
    if state is _State.OPEN or (state is _State.BROKEN and len(lines) > 1):
        return None
    cells = syntax.cells("\n".join(lines))
    if width is None or len(cells) == width:
        return Record(number, cells, line_count=len(lines))
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        return Record(number, cells[:width], line_count=len(lines))
    if len(lines) > 1:
        return None
    return Record(number, cells, f"The row has {len(cells)} cells where the header has {width}.")
