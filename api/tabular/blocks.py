"""Turns a text file into blocks of rows ready for COPY: line number, cells as JSON, and what is wrong with the row.

A block whose lines are all whole records goes through Polars. Any other goes through the reader that survives damage;
the rows come out the same.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import IO

import polars as pl

from api.tabular.layout import Layout, find_layout, is_address
from api.tabular.records import Syntax, read_records
from api.tabular.text import UnreadableFile

BLOCK_CHARACTERS = 4 * 1024 * 1024
SAMPLE_LINES = 1000
SAMPLE_CHARACTERS = 1024 * 1024
SAMPLE_ROWS = 200
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")


def read_layout(text: IO[str], *, is_data: Callable[[str], bool] = is_address) -> tuple[Layout, list[list[str]]]:
    """Return how a text file is laid out and its first sound rows; raises UnreadableFile when there is no row.

    A first row with a cell that `is_data` is no header.
    """
    lines = [line.rstrip("\n") for line in _some_lines(text)]
    at_end = not text.readline()
    layout = find_layout(lines, at_end=at_end, is_data=is_data)
    rest = lines[layout.first_line - 1 :]
    records, _ = read_records(
        rest, Syntax(layout.delimiter), first_number=layout.first_line, at_end=at_end, width=layout.width
    )
    if not records and at_end:
        raise UnreadableFile("The file holds a header and no rows.")
    return layout, [record.cells for record in records if record.error is None][:SAMPLE_ROWS]


def _some_lines(text: IO[str]) -> Iterator[str]:
    seen = 0
    for line in islice(text, SAMPLE_LINES):
        yield line
        seen += len(line)
        if seen > SAMPLE_CHARACTERS:
            break


def blocks(text: IO[str], layout: Layout, characters: int = BLOCK_CHARACTERS) -> Iterator[bytes]:
    """Yield the file's rows as CSV of (line number, cells as a JSON array, error or nothing)."""
    for frame in frames(text, layout, characters):
        yield frame.write_csv(include_header=False).encode()


def frames(text: IO[str], layout: Layout, characters: int = BLOCK_CHARACTERS) -> Iterator[pl.DataFrame]:
    """Yield the file's rows as `line_number`, `cells` (a JSON array) and `error`, null for a sound row.

    About `characters` of the file are in memory at a time.
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
        lines = block.removesuffix("\n").split("\n")
        frame, taken = _in_bulk(block, lines, syntax, number, layout.width), len(lines)
        if frame is None:
            frame, taken = _one_by_one(lines, syntax, number, layout.width, at_end=not read)
        left = "".join(f"{line}\n" for line in lines[taken:])
        number += taken
        if frame.height:
            yield frame


def _in_bulk(block: str, lines: Sequence[str], syntax: Syntax, number: int, width: int) -> pl.DataFrame | None:
    """Return a block's rows, or None when one of its lines is not a whole record of the right width."""
    if CONTROL.search(block):
        return None
    line = pl.Series("line", lines, dtype=pl.String)
    outside = line
    if '"' in block:
        if not line.str.contains(syntax.simple).all():
            return None
        outside = line.str.replace_all(r'"[^"]*"', "")
    is_blank = line.str.strip_chars(syntax.blanks) == ""
    fits = outside.str.count_matches(syntax.delimiter, literal=True) == width - 1
    if not (fits | is_blank).all():
        return None
    numbers = pl.Series("line_number", range(number, number + len(lines)), dtype=pl.Int64)
    if is_blank.any():
        line, numbers = line.filter(~is_blank), numbers.filter(~is_blank)
        block = "\n".join(line)
    if line.is_empty():
        return _frame([], [], [])
    rows = pl.read_csv(
        block.encode(), has_header=False, separator=syntax.delimiter, infer_schema=False, empty_string_is_null=False
    )
    if rows.shape != (len(line), width):
        return None
    return rows.select(numbers, _as_json(rows.columns, block).alias("cells"), pl.lit(None, pl.String).alias("error"))


def _as_json(columns: Sequence[str], block: str) -> pl.Expr:
    """Return the expression of a row's cells as a JSON array; only marks that the block holds are looked for."""
    marks = [(mark, sign) for mark, sign in (("\\", "\\\\"), ('"', '\\"'), ("\t", "\\t")) if mark in block]
    parts: list[pl.Expr] = [pl.lit('["')]
    for place, column in enumerate(columns):
        cell = pl.col(column).fill_null("")
        for mark, sign in marks:
            cell = cell.str.replace_all(mark, sign, literal=True)
        parts += [pl.lit('","'), cell] if place else [cell]
    return pl.concat_str(*parts, pl.lit('"]'))


def _one_by_one(
    lines: Sequence[str], syntax: Syntax, number: int, width: int, *, at_end: bool
) -> tuple[pl.DataFrame, int]:
    records, taken = read_records(lines, syntax, first_number=number, at_end=at_end, width=width)
    frame = _frame(
        [record.line_number for record in records],
        [json.dumps(record.cells, ensure_ascii=False) for record in records],
        [record.error for record in records],
    )
    return frame, taken


def _frame(numbers: list[int], cells: list[str], errors: list[str | None]) -> pl.DataFrame:
    schema = {"line_number": pl.Int64, "cells": pl.String, "error": pl.String}
    return pl.DataFrame({"line_number": numbers, "cells": cells, "error": errors}, schema=schema)
