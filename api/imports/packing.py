"""Some thousand rows of a file as they are kept: a compressed Arrow file of the columns that `tabular` reads."""

import io
from collections.abc import Collection, Sequence

import polars as pl

LINE = "line_number"


def pack_rows(rows: pl.DataFrame) -> bytes:
    """Return rows in the form that is stored."""
    packed = io.BytesIO()
    rows.write_ipc(packed, compression="zstd")
    return packed.getvalue()


def unpack_rows(content: bytes, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Return what `pack` was given, or only some columns of it."""
    return pl.read_ipc(io.BytesIO(content), columns=list(columns) if columns is not None else None)


def remove_rows(rows: pl.DataFrame, lines: Collection[int], *, reason: str) -> pl.DataFrame:
    """Return rows with nothing left on some lines but why that is."""
    gone = pl.col(LINE).is_in(list(lines))
    cells = [name for name in rows.columns if name.isdecimal()]
    emptied = rows.with_columns(
        pl.when(gone).then(pl.lit(reason)).otherwise(pl.col("error")).alias("error"),
        pl.when(gone).then(pl.lit("[]")).otherwise(pl.col("damaged")).alias("damaged"),
        *(pl.when(~gone).then(pl.col(name)).alias(name) for name in cells),
    )
    # Made anew: Polars would go on to hold, and write, the text that nothing points to any more.
    return pl.DataFrame(emptied.rows(), schema=emptied.schema, orient="row")


def find_rows_with(rows: pl.DataFrame, pattern: str) -> list[int]:
    """Return the lines on which a cell, in lower case, has something that the pattern finds."""
    cells = [pl.col(name) for name in rows.columns if name.isdecimal() or name == "damaged"]
    found = pl.any_horizontal(cell.str.to_lowercase().str.contains(pattern) for cell in cells)
    lines: list[int] = rows.filter(found.fill_null(value=False)).get_column(LINE).to_list()
    return lines


def cells_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the line number and, as one JSON array `cells`, the cells of each row as they were, damaged or not."""
    cells = [name for name in rows.columns if name.isdecimal()]
    whole = pl.concat_list([pl.col(name) for name in cells])
    damaged = pl.col("damaged").str.json_decode(pl.List(pl.String))
    return rows.select(LINE, pl.when(pl.col("damaged").is_null()).then(whole).otherwise(damaged).alias("cells"))
