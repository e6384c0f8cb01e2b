import csv
import io
import json
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.imports.files import blocks as under_test
from api.imports.files.blocks import read_frames, read_layout
from api.imports.files.layout import MAX_COLUMNS, Layout
from api.imports.files.records import UNCLOSED, Syntax, read_records
from api.imports.files.text import UnreadableFile, open_text

Rows = list[tuple[int, list[str], str | None]]


def landed(text: str, layout: Layout, characters: int = under_test.BLOCK_CHARACTERS) -> Rows:
    """Return the rows with their cells, damaged or not."""
    found: Rows = []
    for frame in read_frames(io.StringIO(text, newline="\n"), layout, characters):
        for line_number, error, damaged, *cells in frame.iter_rows():
            assert (damaged is None) == (error is None)
            found.append((line_number, json.loads(damaged) if damaged else cells, error))
    return found


cells = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8) | st.sampled_from(
    [
        'a"b',
        "a,b",
        "a\nb",
        "a\n\nb",
        "\\",
        '\\"',
        "a\tb",
        "\u2028",
        " x ",
        '""',
        "1,5",
        "a;b|c",
        '"',
        ' "x" ',
        "'",
        "#",
        "0.10",
    ]
)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=8)
)


def written(table: list[list[str]], delimiter: str, line_end: str, quoting: Literal[0, 1]) -> str:
    """Return a table as the csv module writes it."""
    target = io.StringIO(newline="")
    # Between line ends of \r the csv module leaves a \n in a cell bare, which then ends a line as well.
    how: Literal[0, 1] = csv.QUOTE_ALL if line_end == "\r" else quoting
    csv.writer(target, delimiter=delimiter, lineterminator=line_end, quoting=how).writerows(table)
    return target.getvalue()


def is_blank(row: list[str], delimiter: str) -> bool:
    """Say whether a row holds nothing but blanks and marks."""
    return not any(cell.strip(f'{delimiter}" \t\n') for cell in row)


@settings(max_examples=300)
@given(
    tables,
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from([1, 5, under_test.BLOCK_CHARACTERS]),
)
def test_what_was_written_is_read(
    table: list[list[str]], delimiter: str, line_end: str, quoting: Literal[0, 1], encoding: str, characters: int
) -> None:
    """Whatever the csv module writes comes back cell for cell, together or singly, however the text is cut up."""
    data = written([["x"] * len(table[0]), *table], delimiter, line_end, quoting).encode(encoding)
    layout = Layout(delimiter, table[0], 2)
    with open_text(io.BytesIO(data)) as text:
        found = [row for frame in read_frames(text, layout, characters) for row in frame.iter_rows()]
    assert [list(row[3:]) for row in found] == [row for row in table if not is_blank(row, delimiter)]
    assert {row[1:3] for row in found} <= {(None, None)}


names = st.lists(st.sampled_from(["Ann", "Bob", "Zoë", "Jürgen", "O'Brien, Dr", 'Eve "E"']), min_size=3, max_size=30)


@given(
    names,
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]),
    st.booleans(),
)
def test_files_of_people(
    people: list[str], delimiter: str, line_end: str, quoting: Literal[0, 1], encoding: str, ends: bool
) -> None:
    """A list of people in any form is read without being told the form, with or without an end to its last line."""
    rows = [
        [name, f"p{at}@example.com", f"{at},5", "a note\nof two" if at % 3 else ""] for at, name in enumerate(people)
    ]
    data = written([["Name", "Mail", "Preis", "Note"], *rows], delimiter, line_end, quoting)
    with open_text(io.BytesIO((data if ends else data.removesuffix(line_end)).encode(encoding))) as text:
        layout, samples = read_layout(text)
        found = [list(row[3:]) for frame in read_frames(text, layout) for row in frame.iter_rows()]
    assert (layout.delimiter, layout.headers) == (delimiter, ["Name", "Mail", "Preis", "Note"])
    assert found == samples == rows


plain = st.lists(st.text(st.sampled_from('ab,"\\ é\t'), max_size=10), min_size=1, max_size=8)


@given(plain)
def test_together_as_singly(lines: list[str]) -> None:
    """Lines that are read together give what they give when each is read by itself."""
    layout = Layout(",", ["a", "b"], 1)
    together = landed("\n".join(lines), layout)
    singly, _ = read_records(lines, Syntax(","), first_number=1, at_end=True, width=2)
    padded = [one.cells if one.error else [*one.cells, ""][:2] for one in singly]
    assert together == [(one.line_number, cells, one.error) for one, cells in zip(singly, padded, strict=True)]


def rows_of(data: str) -> Rows:
    """Return the rows of a file whose layout is found out."""
    with open_text(io.BytesIO(data.encode())) as text:
        layout, _ = read_layout(text)
        return landed(text.read() if not text.seek(0) else "", layout)


def test_short_rows() -> None:
    """Blank cells that a program left out at the end are blank; cells that stand in the wrong columns are damage."""
    head = "Name,Email,Employees,City\n" + "".join(f"Ann {at},a{at}@x.com,{at},Ulm\n" for at in range(5))
    found = rows_of(head + "Bob,b@x.com\nEve,e@x.com,7\nc@x.com,8,Bonn\nDan,d@x.com,Bonn\nRoe,n/a\nEmpty\nFay,,9\n")
    assert [(cells, error) for _, cells, error in found[5:]] == [
        (["Bob", "b@x.com", "", ""], None),
        (["Eve", "e@x.com", "7", ""], None),
        (["c@x.com", "8", "Bonn"], "The row has 3 cells where the header has 4."),
        (["Dan", "d@x.com", "Bonn"], "The row has 3 cells where the header has 4."),
        (["Roe", "n/a"], "The row has 2 cells where the header has 4."),
        (["Empty", "", "", ""], None),
        (["Fay", "", "9", ""], None),
    ]
    assert [line for line, _, _ in found] == list(range(2, 14))


def test_a_file_of_short_rows() -> None:
    """Where the last columns are blank in every row and left out, no row is damaged, together or singly."""
    found = rows_of('Name,Email,Phone,City\nAnn,a@x.com\n"Bob\nRoe",b@x.com\nEve\n')
    assert [(cells, error) for _, cells, error in found] == [
        (["Ann", "a@x.com", "", ""], None),
        (["Bob\nRoe", "b@x.com", "", ""], None),
        (["Eve", "", "", ""], None),
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("Email\na@x.com\n", [(2, ["a@x.com"])]),
        ("Email\n\na@x.com\n\n\nb@x.com", [(3, ["a@x.com"]), (6, ["b@x.com"])]),
        (
            "Name,Mail\r\nAnn,a@x.com\rBob,b@x.com\nEve,e@x.com",
            [(2, ["Ann", "a@x.com"]), (3, ["Bob", "b@x.com"]), (4, ["Eve", "e@x.com"])],
        ),
        (
            'Name,Mail\nJoe "Bob" Smith,a@x.com\n5" pipe,b@x.com\n',
            [(2, ['Joe "Bob" Smith', "a@x.com"]), (3, ['5" pipe', "b@x.com"])],
        ),
        ("Name,City,Note\nAnn,Ulm,x\nBob\n", [(2, ["Ann", "Ulm", "x"]), (3, ["Bob", "", ""])]),
        ("Name,Mail,\nAnn,a@x.com,\n", [(2, ["Ann", "a@x.com", ""])]),
        ('Name,Mail\r\n"Ann\r\nLee",a@x.com\r\n', [(2, ["Ann\nLee", "a@x.com"])]),
        ("Name\tMail\n\ta@x.com\n \t \n", [(2, ["", "a@x.com"])]),
    ],
)  # fmt: skip - one file a line
def test_odd_files(data: str, expected: list[tuple[int, list[str]]]) -> None:
    """One column, one row, no last line end, mixed line ends, stray marks, and a delimiter too many are all read."""
    assert rows_of(data) == [(line, cells, None) for line, cells in expected]


def test_damage_costs_its_row() -> None:
    """Among many rows each damaged one is kept with its line, its cells and a reason, and all others are sound."""
    lines = ["Name,Mail,City"]
    expected: Rows = []
    for at in range(2, 2000):
        line = f"Ann {at},a{at}@x.com,Ulm"
        cells, error = line.split(","), None
        match at % 100:
            case 3:
                line = f'"{line}'
                cells, error = [line], UNCLOSED
            case 5:
                line += ",Bonn,Kiel"
                cells, error = line.split(","), "The row has 5 cells where the header has 3."
        lines.append(line)
        expected.append((at, cells, error))
    for size in (1000, under_test.BLOCK_CHARACTERS):
        assert landed("\n".join(lines), Layout(",", ["Name", "Mail", "City"], 2), size) == expected


def test_wide() -> None:
    """A table of as many columns as are read at all is read whole."""
    header = [f"Column of {at}" for at in range(MAX_COLUMNS)]
    rows = [[f"cell {row} {at}" for at in range(MAX_COLUMNS)] for row in range(20)]
    data = written([header, *rows], ";", "\r\n", csv.QUOTE_MINIMAL)
    with open_text(io.BytesIO(data.encode())) as text:
        layout, samples = read_layout(text)
    assert (layout.headers, samples) == (header, rows)
    assert rows_of(data) == [(line, cells, None) for line, cells in enumerate(rows, start=2)]


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
