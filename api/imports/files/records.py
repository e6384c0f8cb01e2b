r"""Reads records from lines; a damaged record does not affect the records after it.

A quotation mark that is never closed would include the rest of the file in its cell. Here only its line is damaged: a
record that does not end within some lines, or has text after its closing quotation mark, is reported as damaged, and
reading continues with the next line.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

MAX_RECORD_LINES = 100
BLANKS = " \t\r\n\u00a0\u200b\ufeff"
"""The characters that are trimmed from cells."""

UNCLOSED = "A quotation mark in this row is never closed."


@dataclass(frozen=True, slots=True)
class Record:
    """One row: the line where it begins, counted from 1, its cells, and its error."""

    line_number: int
    cells: list[str]
    error: str | None = None
    line_count: int = 1
    is_regular: bool = True
    """Whether its quotation marks are valid."""


class _State(Enum):
    COMPLETE = auto()
    OPEN = auto()
    BROKEN = auto()


class Syntax:
    """The syntax of records with one delimiter."""

    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter
        d = re.escape(delimiter)
        inside = r'[^"]*+(?:""[^"]*+)*+'
        field = rf'(?:[ ]*+"{inside}"[ ]*+|(?![ ]*+")[^{d}]*+)'
        self._cell = re.compile(rf'(?:[ ]*+"({inside})"(?:[ ]*+(?={d})|([^{d}]*+))|([^{d}]*+)){d}')
        self._complete = re.compile(rf"{field}(?:{d}{field})*+")
        self._open = re.compile(rf'(?:{field}{d})*+[ ]*+"{inside}')
        self._inside = re.compile(inside)
        self._closing = re.compile(rf'{inside}"[ ]*+({d}|\Z)')
        plain = rf'(?:"[^"]*(?:""[^"]*)*"|[^"{d}]*)'
        self.simple = rf"^{plain}(?:{d}{plain})*$"
        """The pattern of lines that are certainly whole records, for Polars."""
        self.blanks = f'{delimiter}" \t'
        """The characters of a blank row."""

    def state(self, line: str, *, is_inside: bool) -> _State:
        """Return the state of a record after `line`, which may begin inside a quoted cell."""
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
        """Return whether a row is blank."""
        return not line.strip(self.blanks)

    def cells(self, text: str) -> list[str]:
        """Return the cells of a record."""
        if '"' not in text:
            return text.split(self.delimiter)
        found = self._cell.finditer(text + self.delimiter)
        return [
            bare if inside is None else inside.replace('""', '"') + (after or "")
            for inside, after, bare in map(re.Match.groups, found)
        ]


def read_records(
    lines: Sequence[str], syntax: Syntax, *, first_number: int, at_end: bool, width: int | None = None
) -> tuple[list[Record], int]:
    """Return the records of some lines, without blank ones, and the number of lines they use.

    The last lines stay unused if their record needs lines that are not read yet (`at_end` is false).
    """
    records: list[Record] = []
    at = 0
    while at < len(lines):
        record, end = read_record(lines, at, syntax, first_number=first_number, at_end=at_end, width=width)
        if end == at:
            break
        if record is not None:
            records.append(record)
        at = end
    return records, at


def read_record(
    lines: Sequence[str], at: int, syntax: Syntax, *, first_number: int, at_end: bool, width: int | None = None
) -> tuple[Record | None, int]:
    """Return the record that begins at `lines[at]`, None for a blank one, and where the next one begins.

    That is `at` itself if the record needs lines that are not read yet (`at_end` is false). With a `width`, a longer
    record is damaged, except for blank cells, which are dropped. A shorter record stays short if it certainly ends
    there, and is damaged otherwise.
    """
    end = at + 1
    state = syntax.state(lines[at], is_inside=False) if '"' in lines[at] else _State.COMPLETE
    while state is _State.OPEN and end < len(lines) and end - at < MAX_RECORD_LINES:
        state = syntax.state(lines[end], is_inside=True)
        end += 1
    if state is _State.OPEN and not at_end and end - at < MAX_RECORD_LINES:
        return None, at
    record = _record(lines[at:end], state, syntax, first_number + at, width)
    if record is None:
        # The lines after the first may contain valid rows.
        record, end = Record(first_number + at, [lines[at]], UNCLOSED), at + 1
    return (None if syntax.is_blank("".join(lines[at:end])) else record), end


def _record(lines: Sequence[str], state: _State, syntax: Syntax, number: int, width: int | None) -> Record | None:
    """Return the record of `lines`, or None if they are not one record."""
    if state is _State.OPEN or (state is _State.BROKEN and len(lines) > 1):
        return None
    cells = syntax.cells("\n".join(lines))
    is_regular = state is _State.COMPLETE
    if width is not None and len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        cells = cells[:width]
    if (
        width is None
        or len(cells) == width
        or (len(cells) < width and is_regular and not _contains_row(lines, syntax, width))
    ):
        return Record(number, cells, line_count=len(lines), is_regular=is_regular)
    if len(lines) > 1:
        return None
    return Record(number, cells, describe_wrong_width(len(cells), width))


def _contains_row(lines: Sequence[str], syntax: Syntax, width: int) -> bool:
    """Return whether a line of a record is a whole row by itself."""
    return any(len(syntax.cells(line)) == width for line in lines[1:])


def describe_wrong_width(count: int, width: int) -> str:
    """Return the error of a row of `count` cells under a header of `width` cells."""
    return f"The row has {count} {'cell' if count == 1 else 'cells'} where the header has {width}."
