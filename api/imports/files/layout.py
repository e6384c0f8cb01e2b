"""Detects the layout of a file: its delimiter, its header and the names of its columns."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from api.imports.files.records import Record, Syntax, read_records
from api.imports.files.text import UnreadableFile

DELIMITERS = (",", ";", "\t", "|")
MAX_COLUMNS = 500
MAX_HEADER_CHARACTERS = 1_000
"""How long the name of a column may be."""
HEADER_WITHIN = 50
"""The header is searched among this many first records that are not blank."""

_SEPARATOR_LINE = re.compile(r'"?sep=([\t!#-/:-@\[-`{-~])"?\s*', re.IGNORECASE)


class Shape(StrEnum):
    """The pattern of the trimmed cells of a column, valid in Polars and Python."""

    ADDRESS = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
    FIGURES = r"^[\s.,:/+()-]*[0-9][0-9\s.,:/+()-]*$"


MOST_EXCEPTIONS = 0.1
"""The share of a column's cells that may have another shape than the rest."""
FEWEST_FIGURES = 3
"""The fewest cells with figures for a column of figures."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a file; lines are counted from 1."""

    delimiter: str
    headers: list[str]
    first_line: int
    """The first line after the header."""
    shapes: tuple[Shape | None, ...] = ()
    """The shape of each column; only used to check rows that are too short."""

    @property
    def width(self) -> int:
        """The number of cells of a row."""
        return len(self.headers)


def is_address(cell: str) -> bool:
    """Return whether a cell has the form of an email address, which no header has."""
    return re.search(Shape.ADDRESS, cell.strip()) is not None


def find_layout(lines: Sequence[str], *, at_end: bool, is_data: Callable[[str], bool] = is_address) -> Layout:
    """Return the layout of a file that begins with `lines`; a header has no cell that `is_data`.

    Raises UnreadableFile.
    """
    declared = _SEPARATOR_LINE.fullmatch(lines[0])
    candidates = (declared[1],) if declared else DELIMITERS
    read = {delimiter: _read(lines, delimiter, at_end=at_end) for delimiter in candidates}
    delimiter = max(candidates, key=lambda candidate: _evenness(read[candidate]))
    records = read[delimiter][1:] if declared else read[delimiter]
    if not records:
        raise UnreadableFile("The file contains no table.")
    usual = _usual_width(records)
    header = _header(records[:HEADER_WITHIN], usual, is_data)
    is_named = not any(is_data(cell) for cell in header.cells)
    names = _names(header.cells if is_named else [], usual)
    first_line = header.line_number + header.line_count if is_named else header.line_number
    rows = [record.cells for record in records if record.line_number >= first_line and len(record.cells) == len(names)]
    return Layout(delimiter, names, first_line, tuple(_shape(column) for column in zip(*rows, strict=True)))


def _read(lines: Sequence[str], delimiter: str, *, at_end: bool) -> list[Record]:
    records, _ = read_records(lines, Syntax(delimiter), first_number=1, at_end=at_end)
    return [record for record in records if record.error is None]


def _usual_width(records: Sequence[Record]) -> int:
    widths = Counter(len(record.cells) for record in records)
    return max(widths, key=lambda width: (widths[width] * math.log2(width + 1), width))


def _evenness(records: Sequence[Record]) -> tuple[bool, float]:
    """Return how well a delimiter fits: whether the first record fits, and how many cells all records have."""
    if not records:
        return False, 0.0
    usual = _usual_width(records)
    fitting = [record.is_regular and len(record.cells) == usual for record in records]
    share = sum(fitting) / len(records)
    return usual > 1 and fitting[0] and share > 1 - MOST_EXCEPTIONS, share * math.sqrt(usual - 1)


def _header(records: Sequence[Record], usual: int, is_data: Callable[[str], bool]) -> Record:
    """Return the record that is most likely the header, or the first row of data; the first of equals."""
    seen: list[Record] = []
    for record in records:
        seen.append(record)
        if len(record.cells) == usual and any(is_data(cell) for cell in record.cells):
            break
    return max(seen, key=lambda record: _likeness(record, usual, is_data))


def _likeness(record: Record, usual: int, is_data: Callable[[str], bool]) -> float:
    cells = [cell.strip() for cell in record.cells]
    while cells and not cells[-1]:
        cells.pop()
    filled = [cell for cell in cells if cell]
    # Programs that omit blank cells at the end of a row still write the whole header; a single cell is a note.
    wide, narrow = 2.0 - 0.25 * (len(cells) > usual), min(max(usual - len(cells), 0), 2)
    width = wide - narrow - 1.5 * (len(cells) == 1 < usual)
    words = -2 if any(map(is_data, cells)) else not any(re.search(Shape.FIGURES, cell) for cell in filled)
    return width + words + 0.5 * (len(filled) == len(cells))


def _shape(column: Sequence[str]) -> Shape | None:
    filled = [cell.strip() for cell in column if cell.strip()]
    for shape, fewest in ((Shape.ADDRESS, 1), (Shape.FIGURES, FEWEST_FIGURES)):
        fitting = sum(re.search(shape, cell) is not None for cell in filled)
        if fitting >= max(fewest, len(filled) * (1 - MOST_EXCEPTIONS)):
            return shape
    return None


def _names(header: Sequence[str], usual: int) -> list[str]:
    """Return a unique name for every column; a blank one is named by its position. Raises UnreadableFile."""
    cells = [" ".join(cell.split()) for cell in header]
    while len(cells) > usual and not cells[-1]:
        cells.pop()
    cells += [""] * (usual - len(cells))
    if len(cells) > MAX_COLUMNS:
        raise UnreadableFile(f"The file has {len(cells):,} columns; the limit is {MAX_COLUMNS}.")
    names: dict[str, int] = {}
    for position, cell in enumerate(cells, start=1):
        if len(cell) > MAX_HEADER_CHARACTERS:
            sentence = f"The header of column {position} has {len(cell):,} characters"
            raise UnreadableFile(f"{sentence}; the limit is {MAX_HEADER_CHARACTERS:,}. Shorten it.")
        header_name = cell or f"Column {position}"
        name = header_name
        while name in names:
            names[header_name] += 1
            name = f"{header_name} ({names[header_name]})"
        names[name] = 1
    return list(names)
