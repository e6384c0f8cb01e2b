"""Finds out how a file is laid out: its delimiter, where its header stands, and what its columns are called."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from api.tabular.records import Record, Syntax, read_records
from api.tabular.text import UnreadableFile

DELIMITERS = (",", ";", "\t", "|")
MAX_COLUMNS = 500
HEADER_WITHIN = 50
"""A header stands among the first records that are not blank."""

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_FIGURES = re.compile(r"[\d\s.,:/+()-]*\d[\d\s.,:/+()-]*")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is laid out; lines are counted from 1."""

    delimiter: str
    headers: list[str]
    first_line: int
    """The first line after the header."""

    @property
    def width(self) -> int:
        """How many cells a row has."""
        return len(self.headers)


def is_address(cell: str) -> bool:
    """Say whether a cell is an email address by its form, and so none that a header would hold."""
    return _ADDRESS.fullmatch(cell.strip()) is not None


def find_layout(lines: Sequence[str], *, at_end: bool, is_data: Callable[[str], bool] = is_address) -> Layout:
    """Return the layout of a file that begins with `lines`; a header has no cell that `is_data`.

    Raises UnreadableFile.
    """
    announced = _SEPARATOR_LINE.fullmatch(lines[0].strip())
    candidates = (announced[1],) if announced else DELIMITERS
    read = {delimiter: _read(lines, delimiter, at_end=at_end) for delimiter in candidates}
    delimiter = max(candidates, key=lambda candidate: _evenness(read[candidate]))
    records = read[delimiter][1:] if announced else read[delimiter]
    if not records:
        raise UnreadableFile("The file holds no table.")
    usual = _usual_width(records)
    if usual > MAX_COLUMNS:
        raise UnreadableFile(f"The file has {usual} columns; at most {MAX_COLUMNS} are read.")
    header = max(records[:HEADER_WITHIN], key=lambda record: _likeness(record, usual, is_data))
    if any(is_data(cell) for cell in header.cells):
        return Layout(delimiter, _names([], usual), header.line_number)
    return Layout(delimiter, _names(header.cells, usual), header.line_number + header.line_count)


def _read(lines: Sequence[str], delimiter: str, *, at_end: bool) -> list[Record]:
    records, _ = read_records(lines, Syntax(delimiter), first_number=1, at_end=at_end)
    return [record for record in records if record.error is None]


def _usual_width(records: Sequence[Record]) -> int:
    widths = Counter(len(record.cells) for record in records)
    return max(widths, key=lambda width: (widths[width] * math.log2(width + 1), width))


def _evenness(records: Sequence[Record]) -> float:
    """Return how well a delimiter explains the records: many cells, and the same number in each."""
    if not records:
        return 0.0
    usual = _usual_width(records)
    share = sum(1 for record in records if len(record.cells) == usual) / len(records)
    return share * math.sqrt(usual - 1)


def _likeness(record: Record, usual: int, is_data: Callable[[str], bool]) -> float:
    """Return how much a record looks like a header; of equals the first is taken."""
    cells = [cell.strip() for cell in record.cells]
    while cells and not cells[-1]:
        cells.pop()
    filled = [cell for cell in cells if cell]
    width = 2.0 - min(abs(len(cells) - usual), 2)
    words = not any(is_data(cell) or _FIGURES.fullmatch(cell) for cell in filled)
    return width + words + 0.5 * (len(filled) == len(cells))


def _names(header: Sequence[str], usual: int) -> list[str]:
    """Return a distinct name for every column; a blank one is called by its place."""
    cells = [" ".join(cell.split()) for cell in header]
    while len(cells) > usual and not cells[-1]:
        cells.pop()
    cells += [""] * (usual - len(cells))
    names: list[str] = []
    for position, cell in enumerate(cells, start=1):
        wanted = cell or f"Column {position}"
        name, number = wanted, 1
        while name in names:
            number += 1
            name = f"{wanted} ({number})"
        names.append(name)
    return names
