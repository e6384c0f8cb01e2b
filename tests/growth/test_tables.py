"""Tables of people: layout, cells, headers and mappings."""

import io
from collections.abc import Callable, Sequence
from contextlib import suppress

import polars as pl
import pytest

from ai.workflows.csv_mapping import addresses as mapped_addresses
from ai.workflows.csv_mapping.columns import MAX_VALUE_CHARACTERS
from ai.workflows.csv_mapping.headers import read_header
from ai.workflows.csv_mapping.values import classify_value
from api.imports.files.addresses import MAX_CELL_CHARACTERS, check_addresses
from api.imports.files.blocks import read_frames, read_layout
from api.imports.files.errors import UnreadableFile
from api.imports.files.layout import MAX_COLUMNS, MAX_HEADER_CHARACTERS, find_layout
from api.imports.files.text import open_text
from api.imports.timezones import parse_timezone
from api.imports.values import parse_employees, parse_segment
from domain.blank_values import is_blank
from domain.lead import SegmentThresholds
from domain.opt_outs import OTHER_COLUMN, is_denial, is_refusal, is_subscription_status, read_cell
from domain.opt_outs import read_header as read_opt_out_header
from domain.suppression import derive_person_key, normalise_address, normalise_domain, to_ascii_address
from tests.growth.growing import find_steep, measure_growth, repeat

HEAD = "email,name\na@b.example,Ann\n"
SIZES = SegmentThresholds(50, 250)


def _read_file(text: str) -> None:
    with suppress(UnreadableFile), open_text(io.BytesIO(text.encode("utf-8", "replace"))) as opened:
        layout, _ = read_layout(opened)
        for _ in read_frames(opened, layout):
            pass


def _read_mapped_value(cell: str) -> None:
    # The mapping reads this much of a cell; its caches would hide the work.
    beginning = cell[:MAX_VALUE_CHARACTERS]
    classify_value.__wrapped__(beginning)
    mapped_addresses.parse_addresses([beginning])


CELLS: Sequence[Callable[[str], object]] = (
    lambda cell: check_addresses(pl.Series([cell]), has_apostrophes=True),
    lambda cell: parse_segment(cell, SIZES),
    parse_employees,
    parse_timezone,
    lambda cell: read_cell(cell, OTHER_COLUMN),
    is_denial,
    is_refusal,
    is_subscription_status,
    is_blank,
    _read_mapped_value,
    read_header.__wrapped__,
    read_opt_out_header.__wrapped__,
    normalise_address,
    normalise_domain,
    to_ascii_address,
    derive_person_key,
)


@pytest.mark.parametrize("reader", range(len(CELLS)))
def test_a_cell_is_read_in_linear_time(reader: int) -> None:
    """A cell or a header of any shape takes at most in proportion to its length."""
    CELLS[reader]("warm")
    assert find_steep(CELLS[reader]) == []


@pytest.mark.parametrize("head", ["", HEAD])
def test_a_file_is_read_in_linear_time(head: str) -> None:
    """A file of any shape takes at most in proportion to its length, with a table before it or without."""
    _read_file(HEAD)
    assert find_steep(lambda text: _read_file(head + text)) == []


@pytest.mark.parametrize("line", ["a,", "a@b.example,x\n", '"a\n', 'a@b.example,"\n', "a@b.example,x,y\n", "a;b,c\n"])
def test_a_longer_file_takes_in_proportion(line: str) -> None:
    """Half a megabyte of one line grows like less of it, whether its rows are sound or damaged."""
    assert measure_growth(_read_file, lambda length: HEAD + repeat(line, length), length=524_288) is None


@pytest.mark.parametrize("name", ["a", "", "a (2)"])
def test_equal_headers_are_named_in_linear_time(name: str) -> None:
    """Equal headers get numbers, and the work is that of their count; the last allowed file has as many as that."""
    names = find_layout([",".join([name] * MAX_COLUMNS), ",".join("x" * MAX_COLUMNS)], at_end=True).headers
    assert len(set(names)) == MAX_COLUMNS
    with pytest.raises(UnreadableFile, match=f"{MAX_COLUMNS + 1} columns; the limit is {MAX_COLUMNS}"):
        find_layout([",".join([name] * (MAX_COLUMNS + 1)), ",".join("x" * (MAX_COLUMNS + 1))], at_end=True)


@pytest.mark.parametrize(("more", "is_refused"), [(-1, False), (0, False), (1, True)])
def test_a_long_header_is_refused(more: int, *, is_refused: bool) -> None:
    """The name of a column has a limit, and a longer one is refused with its column."""
    lines = [f"email,{'n' * (MAX_HEADER_CHARACTERS + more)}", "a@b.example,x"]
    if is_refused:
        with pytest.raises(UnreadableFile, match="The header of column 2 has 1,001 characters; the limit is 1,000"):
            find_layout(lines, at_end=True)
    else:
        assert len(find_layout(lines, at_end=True).headers[1]) == MAX_HEADER_CHARACTERS + more


@pytest.mark.parametrize(("more", "is_refused"), [(-1, False), (0, False), (1, True)])
def test_a_long_address_cell_is_refused(more: int, *, is_refused: bool) -> None:
    """A cell of the limit is searched for addresses, and a longer one has a problem that says so."""
    cell = "ann@lead.example, " + "b@c.example, " * 5_000
    checked = check_addresses(pl.Series([cell[: MAX_CELL_CHARACTERS + more - 1] + "!"])).row(0, named=True)
    assert (checked["address"] is None) is is_refused
    assert ("the limit of a cell is 20,000" in (checked["problem"] or "")) is is_refused
