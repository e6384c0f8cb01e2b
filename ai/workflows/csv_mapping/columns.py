"""The columns of a file: their cells, what their headers speak of, and what their values look like."""

from dataclasses import dataclass
from functools import cached_property

from ai.workflows.csv_mapping.headers import Meaning, meaning_of
from ai.workflows.csv_mapping.shapes import Shape, shape_of

MAX_ROWS = 200
# A very wide file shows fewer rows of each column, so that looking at it takes no longer.
MAX_CELLS = 20_000
MIN_ROWS = 40
MAX_VALUE_CHARACTERS = 200
# What people and programs write for nothing.
BLANKS = frozenset({"", "-", "--", "n/a", "N/A", "#N/A", "NA", "null", "NULL", "None", "nan", "NaN"})


@dataclass(frozen=True)
class Column:
    """One column as read: its header, and one cell per row, blank ones included."""

    position: int
    header: str
    cells: tuple[str, ...]

    @cached_property
    def values(self) -> tuple[str, ...]:
        """The cells that hold anything."""
        return tuple([cell for cell in self.cells if cell not in BLANKS])

    @property
    def fill(self) -> float:
        """Which share of the cells (0 to 1) holds anything; 0 without rows."""
        return len(self.values) / len(self.cells) if self.cells else 0.0

    @cached_property
    def meaning(self) -> Meaning:
        """What the header speaks of."""
        return meaning_of(self.header)

    @cached_property
    def shape(self) -> Shape:
        """What the values look like."""
        return shape_of(self.values)


def columns_of(headers: list[str], rows: list[list[str]]) -> list[Column]:
    """Return the columns of a file; a short row counts as blank where it ends."""
    seen = rows[: min(MAX_ROWS, max(MIN_ROWS, MAX_CELLS // max(len(headers), 1)))]
    width = len(headers)
    level = [row if len(row) >= width else [*row, *[""] * (width - len(row))] for row in seen]
    columns = []
    for position, header in enumerate(headers):
        cells = tuple([row[position].strip()[:MAX_VALUE_CHARACTERS] for row in level])
        columns.append(Column(position=position, header=header, cells=cells))
    return columns
