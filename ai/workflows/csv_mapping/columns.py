"""The columns of a file: their cells, the meaning of their headers, and the shape of their values."""

from dataclasses import dataclass

from ai.workflows.csv_mapping.addresses import NO_SIMILARITY, Similarity, compute_similarity, parse_addresses
from ai.workflows.csv_mapping.headers import Meaning, Topic, read_header
from ai.workflows.csv_mapping.values import MOSTLY, Kind, Shape, measure_shape

MAX_ROWS = 200
# Of a very wide file fewer rows are read, so that it takes no longer.
MAX_CELLS = 20_000
MIN_ROWS = 40
MAX_VALUE_CHARACTERS = 200
MAX_ADDRESS_COLUMNS = 3
MAX_COMPARED_ROWS = 50
# Texts that people and programs write for a blank cell.
BLANKS = frozenset({"", "-", "--", "n/a", "N/A", "#N/A", "NA", "null", "NULL", "None", "nan", "NaN"})


@dataclass(eq=False, slots=True)
class Column:
    """One column with one cell per row; `values` are the cells that are not blank."""

    position: int
    header: str
    cells: tuple[str, ...]
    values: tuple[str, ...]
    meaning: Meaning
    shape: Shape
    similarity: Similarity = NO_SIMILARITY
    """The similarity to the addresses in the same rows; only for columns of text."""

    @property
    def fill(self) -> float:
        """The share of cells (0 to 1) that are not blank; 0 without rows."""
        return len(self.values) / len(self.cells) if self.cells else 0.0


def read_columns(headers: list[str], rows: list[list[str]]) -> list[Column]:
    """Return the columns of a file. The missing cells of a short row are blank."""
    rows = rows[: min(MAX_ROWS, max(MIN_ROWS, MAX_CELLS // max(len(headers), 1)))]
    columns = []
    for position, header in enumerate(headers):
        cells = tuple([row[position].strip()[:MAX_VALUE_CHARACTERS] if position < len(row) else "" for row in rows])
        values = tuple([cell for cell in cells if cell not in BLANKS])
        columns.append(Column(position, header, cells, values, read_header(header), measure_shape(values)))
    _set_similarities(columns)
    return columns


def _set_similarities(columns: list[Column]) -> None:
    """Set the similarity of each text column to the addresses in its rows, except addresses of colleagues."""
    address_columns = [
        column
        for column in columns
        if column.shape.share(Kind.EMAIL) >= MOSTLY and column.meaning.topic is not Topic.COLLEAGUE
    ]
    fullest = sorted(address_columns, key=lambda column: column.fill, reverse=True)[:MAX_ADDRESS_COLUMNS]
    address_rows = [
        parse_addresses(cells) for cells in zip(*(column.cells[:MAX_COMPARED_ROWS] for column in fullest), strict=True)
    ]
    for column in columns:
        if column.shape.is_text:
            column.similarity = compute_similarity(column.cells, address_rows)
