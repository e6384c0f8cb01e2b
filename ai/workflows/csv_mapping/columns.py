"""The columns of a file: their cells, what their headers say, what their values look like."""

from dataclasses import dataclass

from ai.workflows.csv_mapping.addresses import NO_SIMILARITY, Similarity, address_row, similarity_of
from ai.workflows.csv_mapping.headers import Meaning, Topic, meaning_of
from ai.workflows.csv_mapping.values import MOSTLY, Kind, Shape, shape_of

MAX_ROWS = 200
# A very wide file shows fewer rows of each column, so that looking at it takes no longer.
MAX_CELLS = 20_000
MIN_ROWS = 40
MAX_VALUE_CHARACTERS = 200
COLUMNS_COMPARED = 3
ROWS_COMPARED = 50
# What people and programs write for nothing.
BLANKS = frozenset({"", "-", "--", "n/a", "N/A", "#N/A", "NA", "null", "NULL", "None", "nan", "NaN"})


@dataclass(eq=False, slots=True)
class Column:
    """One column as read, with one cell per row, blank ones included; `values` are the cells that hold anything."""

    position: int
    header: str
    cells: tuple[str, ...]
    values: tuple[str, ...]
    meaning: Meaning
    shape: Shape
    similarity: Similarity = NO_SIMILARITY
    """To the addresses in the same rows; text alone is compared."""

    @property
    def fill(self) -> float:
        """Which share of the cells (0 to 1) holds anything; 0 without rows."""
        return len(self.values) / len(self.cells) if self.cells else 0.0


def columns_of(headers: list[str], rows: list[list[str]]) -> list[Column]:
    """Return the columns of a file; a short row counts as blank where it ends."""
    shown = rows[: min(MAX_ROWS, max(MIN_ROWS, MAX_CELLS // max(len(headers), 1)))]
    columns = []
    for position, header in enumerate(headers):
        cells = tuple([row[position].strip()[:MAX_VALUE_CHARACTERS] if position < len(row) else "" for row in shown])
        values = tuple([cell for cell in cells if cell not in BLANKS])
        columns.append(Column(position, header, cells, values, meaning_of(header), shape_of(values)))
    _compare_with_addresses(columns)
    return columns


def _compare_with_addresses(columns: list[Column]) -> None:
    """Set how much each text column resembles the addresses beside it, those of colleagues left out."""
    columns_of_addresses = [
        column
        for column in columns
        if column.shape.share(Kind.EMAIL) >= MOSTLY and column.meaning.topic is not Topic.COLLEAGUE
    ]
    fullest = sorted(columns_of_addresses, key=lambda column: column.fill, reverse=True)[:COLUMNS_COMPARED]
    rows = [address_row(cells) for cells in zip(*(column.cells[:ROWS_COMPARED] for column in fullest), strict=True)]
    for column in columns:
        if column.shape.is_text:
            column.similarity = similarity_of(column.cells, rows)
