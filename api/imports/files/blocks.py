"""Reads a text file into frames of rows: line number, error and cells.

Polars parses lines that are whole records together. Only cells with several lines and damaged lines go through the slow
reader of `records`; both give the same rows.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import IO

import polars as pl

from api.imports.files.layout import Layout, Shape, find_layout, is_address
from api.imports.files.records import Record, Syntax, describe_wrong_width, read_record
from api.imports.files.text import UnreadableFile

BLOCK_CHARACTERS = 4 * 1024 * 1024
SAMPLE_LINES = 1000
SAMPLE_CHARACTERS = 1024 * 1024
SAMPLE_ROWS = 200
SAMPLE_FRAMES = 3


def read_layout(text: IO[str], *, is_data: Callable[[str], bool] = is_address) -> tuple[Layout, list[list[str]]]:
    """Return the layout of a text file and its first valid rows, at most 200; raises UnreadableFile without rows.

    A first row with a cell that `is_data` is not a header.
    """
    text.seek(0)
    lines = [line.rstrip("\n") for line in _some_lines(text)]
    layout = find_layout(lines, at_end=not text.readline(), is_data=is_data)
    # Several frames, because damage may end a frame early.
    some = list(islice(read_frames(text, layout, SAMPLE_CHARACTERS), SAMPLE_FRAMES))
    if not some:
        raise UnreadableFile("The file has a header and no rows.")
    sound = pl.concat(some).filter(pl.col("error").is_null()).head(SAMPLE_ROWS)
    return layout, [list(cells) for cells in sound.select(_names(layout.width)).iter_rows()]


def _some_lines(text: IO[str]) -> Iterator[str]:
    seen = 0
    for line in islice(text, SAMPLE_LINES):
        yield line
        seen += len(line)
        if seen > SAMPLE_CHARACTERS:
            break


def read_frames(text: IO[str], layout: Layout, characters: int = BLOCK_CHARACTERS) -> Iterator[pl.DataFrame]:
    """Yield the rows of the file in order, without blank ones, with about `characters` of the file in memory.

    Columns: `line_number` (Int64, from 1, the line of `text` where the row begins), `error` (String, null for a valid
    row), `damaged` (String, the cells of a row with an error as a JSON array), and one String column for each of the
    file's, named by its position from "0": the cell as it stands, "" when blank, null in a row with an error.
    """
    text.seek(0)
    for _ in islice(text, layout.first_line - 1):
        pass
    syntax, number, left = Syntax(layout.delimiter), layout.first_line, ""
    while True:
        read = text.read(characters)
        block = left + read + (text.readline() if read else "")
        if not block:
            return
        lines = pl.Series("line", [block.removesuffix("\n")]).str.split("\n").explode()
        frame, used = _rows(lines, syntax, number, layout, at_end=not read)
        left = "".join(f"{line}\n" for line in lines[used:])
        number += used
        if frame.height:
            yield frame


def _rows(lines: pl.Series, syntax: Syntax, number: int, layout: Layout, *, at_end: bool) -> tuple[pl.DataFrame, int]:
    """Return the rows of some lines, and the number of lines they use."""
    commas = _delimiters(lines, syntax)
    uncertain = commas.is_null() | (commas >= layout.width)
    singly, covered, used = _read_singly(lines, uncertain, syntax, number, layout.width, at_end=at_end)
    if covered:
        positions = pl.int_range(used, eager=True)
        positions = positions.filter(~positions.is_in(covered))
        whole = _together(lines.gather(positions), positions + number, commas.gather(positions), syntax, layout.width)
        frame = pl.concat([whole, _frame(singly, layout.width)]).sort("line_number")
    else:
        lines, commas, positions = lines.head(used), commas.head(used), pl.int_range(number, number + used, eager=True)
        frame = _together(lines, positions, commas, syntax, layout.width)
    return _without_shifted(frame, layout), used


def _delimiters(lines: pl.Series, syntax: Syntax) -> pl.Series:
    """Count the delimiters between the cells of each line; null if the line may not be one whole record."""
    outside = lines
    if lines.str.contains('"', literal=True).any():
        outside = lines.str.replace_all(r'"[^"]*"', "").set(~lines.str.contains(syntax.simple), None)
    return outside.str.count_matches(syntax.delimiter, literal=True)


def _read_singly(
    lines: pl.Series, uncertain: pl.Series, syntax: Syntax, number: int, width: int, *, at_end: bool
) -> tuple[list[Record], list[int], int]:
    """Return the records that begin in uncertain lines, the lines they use, and the number of finished lines."""
    starts = uncertain.arg_true().to_list()
    text = lines.to_list() if starts else []
    records: list[Record] = []
    covered: list[int] = []
    end = 0
    for start in starts:
        if start < end:
            continue
        record, end = read_record(text, start, syntax, first_number=number, at_end=at_end, width=width)
        if end == start:
            return records, covered, start
        covered.extend(range(start, end))
        if record is not None:
            records.append(record)
    return records, covered, len(lines)


def _together(lines: pl.Series, numbers: pl.Series, commas: pl.Series, syntax: Syntax, width: int) -> pl.DataFrame:
    """Return the rows of lines that are whole records."""
    is_filled = lines.str.strip_chars(syntax.blanks) != ""
    lines, numbers, commas = lines.filter(is_filled), numbers.filter(is_filled), commas.filter(is_filled)
    if lines.is_empty():
        return _frame([], width)
    # Polars reads as many columns as the first row has.
    first, missing = len(lines[0]), width - 1 - commas[0]
    text = lines.str.join("\n")[0]
    rows = pl.read_csv(
        (text[:first] + syntax.delimiter * missing + text[first:] if missing else text).encode(),
        has_header=False,
        separator=syntax.delimiter,
        schema=dict.fromkeys(_names(width), pl.String),
        empty_string_is_null=False,
    )
    null = pl.lit(None, pl.String)
    return rows.select(
        numbers.alias("line_number"),
        null.alias("error"),
        null.alias("damaged"),
        (commas.cast(pl.Int64) + 1).alias("count"),
        pl.col(_names(width)).fill_null(""),
    )


def _without_shifted(frame: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Return rows without `count`; short rows whose cells do not fit their columns are damaged.

    Many programs omit blank cells at the end of a row, so most short rows are valid. If a cell is missing before the
    end, the cells after it are in the wrong columns.
    """
    is_short = pl.col("count") < layout.width
    short = frame.filter(is_short & pl.col("error").is_null())
    if any(layout.shapes) and short.height:
        shifted = short.filter(pl.any_horizontal(_contradictions(layout)))
        records = [
            Record(number, list(cells[:count]), describe_wrong_width(count, layout.width))
            for number, _, _, count, *cells in shifted.iter_rows()
        ]
        if records:
            frame = frame.filter(~pl.col("line_number").is_in(shifted["line_number"].implode()))
            frame = pl.concat([frame, _frame(records, layout.width)]).sort("line_number")
    return frame.drop("count")


def _contradictions(layout: Layout) -> Iterator[pl.Expr]:
    """Yield for each column whether a cell has another shape than the column; only address columns have addresses."""
    has_addresses = Shape.ADDRESS in layout.shapes
    for name, shape in zip(_names(layout.width), layout.shapes, strict=True):
        cell = pl.col(name).str.strip_chars()
        if shape is not None:
            yield (cell != "") & ~cell.str.contains(shape.value)
        elif has_addresses:
            yield cell.str.contains(Shape.ADDRESS.value)


def _frame(records: Sequence[Record], width: int) -> pl.DataFrame:
    """Return records as rows, with the `count` of their cells; missing cells are blank."""
    rows = [
        (record.line_number, None, None, len(record.cells), *record.cells, *[""] * (width - len(record.cells)))
        if record.error is None
        else (record.line_number, record.error, json.dumps(record.cells, ensure_ascii=False), width, *[None] * width)
        for record in records
    ]
    schema = {"line_number": pl.Int64, "error": pl.String, "damaged": pl.String, "count": pl.Int64}
    return pl.DataFrame(rows, schema={**schema, **dict.fromkeys(_names(width), pl.String)}, orient="row")


def _names(width: int) -> list[str]:
    return [str(position) for position in range(width)]
