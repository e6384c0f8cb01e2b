import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.tabular import blocks as under_test
from api.tabular.blocks import blocks, read_layout
from api.tabular.layout import Layout
from api.tabular.records import Syntax
from api.tabular.text import UnreadableFile, open_text

Rows = list[tuple[int, list[str], str]]


def landed(text: str, layout: Layout, characters: int = under_test.BLOCK_CHARACTERS) -> Rows:
    """Return the rows as Postgres would copy them in."""
    found: Rows = []
    for block in blocks(io.StringIO(text, newline="\n"), layout, characters):
        for line_number, cells, error in csv.reader(io.StringIO(block.decode(), newline="")):
            found.append((int(line_number), json.loads(cells), error))
    return found


cells = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8) | st.sampled_from(
    ['a"b', "a,b", "a\nb", "\\", '\\"', "a\tb", "\u2028", " x ", '""']
)


@given(st.lists(st.lists(cells, min_size=3, max_size=3), max_size=8))
def test_what_was_written_is_read(table: list[list[str]]) -> None:
    """Whatever the csv module writes comes back cell for cell, on the fast way or the careful one."""
    target = io.StringIO(newline="")
    csv.writer(target, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
    found = landed(target.getvalue(), Layout(",", ["a", "b", "c"], 1))
    assert [row for _, row, _ in found] == [row for row in table if any(cell.strip('", \t\n') for cell in row)]
    assert {error for _, _, error in found} <= {""}


plain = st.lists(
    st.text(st.sampled_from('ab,"\\ é\t'), max_size=10).filter(lambda line: "\n" not in line), min_size=1, max_size=8
)


@given(plain)
def test_both_ways_agree(lines: list[str]) -> None:
    """Where the fast way takes a block of lines, it reads them as the careful one does."""
    text = "\n".join(lines) + "\n"
    syntax = Syntax(",")
    fast = under_test._in_bulk(text, lines, syntax, 1, 2)
    careful, _ = under_test._one_by_one(lines, syntax, 1, 2, at_end=True)
    if fast is not None:
        as_rows = [[(number, json.loads(row), error) for number, row, error in one.rows()] for one in (fast, careful)]
        assert as_rows[0] == as_rows[1]


def test_many_blocks() -> None:
    """Line numbers hold across blocks, blank lines, damage and cells of several lines, however blocks are cut."""
    lines = ["name,mail"]
    expected: list[int] = []
    for number in range(300):
        expected.append(len(lines) + 1)
        if number % 50 == 7:
            lines += ['"Ann', f'{number}",a{number}@x.com', ""]
        elif number % 50 == 9:
            lines += [f'Ann,"a{number}@x.com']
        else:
            lines += [f"Ann,a{number}@x.com"]
    text = "\n".join(lines)
    with open_text(io.BytesIO(text.encode())) as source:
        layout, samples = read_layout(source)
    assert layout.headers == ["name", "mail"]
    assert len(samples) == under_test.SAMPLE_ROWS
    for size in (1, 17, 100, 10_000_000):
        found = landed(text, layout, size)
        assert [line for line, _, _ in found] == expected
        assert [bool(error) for _, _, error in found] == [number % 50 == 9 for number in range(300)]


def test_header_only() -> None:
    """A header without rows is refused in a sentence."""
    with open_text(io.BytesIO(b"Name,Mail\n\n")) as source, pytest.raises(UnreadableFile, match="header and no rows"):
        read_layout(source)
