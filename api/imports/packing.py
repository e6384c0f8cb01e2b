"""The stored form of some thousand rows of a file: a compressed Arrow file of the columns that `files` reads."""

import io
from collections.abc import Collection, Sequence

import polars as pl

LINE = "line_number"


def pack_rows(rows: pl.DataFrame) -> bytes:
    """Return the stored form of rows."""
    packed = io.BytesIO()
    rows.write_ipc(packed, compression="zstd")
    return packed.getvalue()


def unpack_rows(content: bytes, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the rows that were given to `pack_rows`, or only some of their columns."""
    return pl.read_ipc(io.BytesIO(content), columns=list(columns) if columns is not None else None)


def remove_rows(rows: pl.DataFrame, lines: Collection[int], *, reason: str) -> pl.DataFrame:
    """Return rows with the cells of some lines removed, and `reason` as the error of those lines."""
    is_removed = pl.col(LINE).is_in(list(lines))
    cells = [name for name in rows.columns if name.isdecimal()]
    emptied = rows.with_columns(
        pl.when(is_removed).then(pl.lit(reason)).otherwise(pl.col("error")).alias("error"),
        pl.when(is_removed).then(pl.lit("[]")).otherwise(pl.col("damaged")).alias("damaged"),
        *(pl.when(~is_removed).then(pl.col(name)).alias(name) for name in cells),
    )
    # A new frame, because Polars would still hold, and write, the removed text.
    return pl.DataFrame(emptied.rows(), schema=emptied.schema, orient="row")


def find_rows_with(rows: pl.DataFrame, pattern: str) -> list[int]:
    """Return the lines with a cell that matches the pattern in lower case."""
    cells = [pl.col(name) for name in rows.columns if name.isdecimal() or name == "damaged"]
    found = pl.any_horizontal(cell.str.to_lowercase().str.contains(pattern) for cell in cells)
    lines: list[int] = rows.filter(found.fill_null(value=False)).get_column(LINE).to_list()
    return lines


def cells_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the line number and the list `cells` of the original cells of each row, damaged or not."""
    cells = [name for name in rows.columns if name.isdecimal()]
    whole = pl.concat_list([pl.col(name) for name in cells])
    damaged = pl.col("damaged").str.json_decode(pl.List(pl.String))
    return rows.select(LINE, pl.when(pl.col("damaged").is_null()).then(whole).otherwise(damaged).alias("cells"))
