import pytest

from api.imports.files.records import MAX_RECORD_LINES, UNCLOSED, Syntax, describe_wrong_width, read_records

COMMA = Syntax(",")


def rows(text: str, width: int | None = None) -> list[tuple[int, list[str], str | None]]:
    """Return line, cells and error of every record."""
    records, taken = read_records(text.split("\n"), COMMA, first_number=1, at_end=True, width=width)
    assert taken == len(text.split("\n"))
    return [(record.line_number, record.cells, record.error) for record in records]


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ("a,b", ["a", "b"]),
        ('"a,b",c', ["a,b", "c"]),
        ('"a ""b""",c', ['a "b"', "c"]),
        ('a, "b, c"', ["a", "b, c"]),
        ('5" pipe,"x"', ['5" pipe', "x"]),
        ('"a"b,c', ["ab", "c"]),
        ('"",""', ["", ""]),
        (',"a",', ["", "a", ""]),
        ('Joe "Bob" Smith,x', ['Joe "Bob" Smith', "x"]),
        ('"a, b" c,d', ["a, b c", "d"]),
        (' a,"b"', [" a", "b"]),
    ],
)
def test_one_line(line: str, cells: list[str]) -> None:
    """Quoted cells, doubled marks, marks inside a cell, and blanks before a mark are read as people mean them."""
    found = rows(line)
    assert [one[1] for one in found] == ([cells] if any(cells) else [])


def test_line_numbers() -> None:
    """Each record has the line it begins at, across blank lines and cells of several lines."""
    found = rows('a,b\n\n"1\n\n2",x\n,\nc,d')
    assert [(line, cells) for line, cells, _ in found] == [(1, ["a", "b"]), (3, ["1\n\n2", "x"]), (7, ["c", "d"])]


def test_unclosed_quote_costs_one_row() -> None:
    """A mark that is never closed costs its row alone, wherever the next marks stand."""
    first, second, third = (1, ['1,"a'], UNCLOSED), (2, ["2", "b"], None), (3, ["3", "c"], None)
    for after in ("2,b\n3,c", '2,"b"\n3,"c"', '"2",b\n3,c'):
        assert rows(f'1,"a\n{after}', width=2) == [first, second, third]
    assert rows('1,"a\n2,b\n3,"c', width=2) == [first, second, (3, ['3,"c'], UNCLOSED)]


def test_record_without_end() -> None:
    """A record of more lines than any real one is damaged, and the lines after its first are read as rows."""
    after = range(2, MAX_RECORD_LINES * 2)
    found = rows('1,"a\n' + "\n".join(f"{number},b" for number in after), width=2)
    assert found == [(1, ['1,"a'], UNCLOSED), *((number, [str(number), "b"], None) for number in after)]
    most = ["a", *["x"] * (MAX_RECORD_LINES - 2), "z"]
    assert rows('1,"' + "\n".join(most) + '"', width=2) == [(1, ["1", "\n".join(most)], None)]
    more = rows('1,"' + "\n".join(["a", *most]) + '"', width=2)
    assert [(line, error) for line, _, error in more] == [
        (1, UNCLOSED),
        *((line, None) for line in range(2, MAX_RECORD_LINES + 2)),
    ]


def test_width() -> None:
    """A row that is too long is kept with the reason; blank cells beyond the header are no harm, nor missing ones."""
    assert rows("1,2\n1\n1,2,3\n1,2,, ", width=2) == [
        (1, ["1", "2"], None),
        (2, ["1"], None),
        (3, ["1", "2", "3"], "The row has 3 cells where the header has 2."),
        (4, ["1", "2"], None),
    ]


def test_a_short_record_in_doubt() -> None:
    """Marks in odd places, or a whole row among its lines, make of a short record a damaged one."""
    assert rows('1,"Ann,"a@x.com"', width=3) == [
        (1, ["1", 'Ann,a@x.com"'], "The row has 2 cells where the header has 3.")
    ]
    assert rows('1,"a\n2,b,c\n3,d"\n4,e,f', width=3) == [
        (1, ['1,"a'], UNCLOSED),
        (2, ["2", "b", "c"], None),
        (3, ["3", 'd"'], None),
        (4, ["4", "e", "f"], None),
    ]
    assert rows('1,"a\nb"', width=3) == [(1, ["1", "a\nb"], None)]


def test_open_record_waits() -> None:
    """When more lines are to come, a record that is still open is left for the next turn."""
    lines = ["1,a", '2,"b', "c"]
    records, taken = read_records(lines, COMMA, first_number=1, at_end=False, width=2)
    assert ([record.cells for record in records], taken) == ([["1", "a"]], 1)


def test_hostile_marks() -> None:
    """A long line of hardly anything but marks and delimiters comes to an end: it is blank, or one damaged row."""
    for blank in ('"' * 200_001, '",' * 100_000):
        assert rows(blank, width=2) == []
    for line, count in ((('a"' * 50 + ",") * 1000, 1001), ('"a' * 100_000, 1)):
        ((number, cells, error),) = rows(line, width=2)
        assert (number, len(cells), error) == (1, count, describe_wrong_width(count, 2))
