import csv
import io

import pytest

from tests.api.importing import Imports, counts, in_blocks

pytestmark = pytest.mark.anyio

DAMAGED = (
    "Email;Name;Note\n"
    "good@example.com;Ann;first\n"
    "no address;Änne;second\n"  # line 3
    'a@example.com;"Bob ""the"" Roe";x;and more\n'
    'not one;"x; y";"two\nlines"\n'  # lines 5 and 6
    "good2@example.com;Eve;third\n"
    ";;no address at all\n"  # line 8
    " @example.com ;=1+1; blank \n"
    "good3@example.com;Pia;\n"
    f"long@example.com;{'x' * 201};\n"  # line 11
    "good4@example.com;Ned;\n"
    'b@example.com;"never closed;\n'  # line 13
    "good5@example.com;Zoe;last\n"
)
CELLS = [
    ("3", ["no address", "Änne", "second"]),
    ("4", ["a@example.com", 'Bob "the" Roe', "x", "and more"]),
    ("5", ["not one", "x; y", "two\nlines"]),
    ("8", ["", "", "no address at all"]),
    ("9", [" @example.com ", "=1+1", " blank "]),
    ("11", ["long@example.com", "x" * 201, ""]),
    ("13", ['b@example.com;"never closed;']),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
async def test_bad_rows_come_back_as_they_were(imports: Imports, encoding: str) -> None:
    """Each row that cannot be used is given back cell by cell, with its line and a sentence; the good ones are not."""
    made = await imports.uploaded(DAMAGED.encode(encoding))
    head, *lines = await imports.errors(made)
    assert head == ["Line", "Reason", "Email", "Name", "Note"]
    assert [(line, cells) for line, _, *cells in lines] == [(line, cells) for line, cells in CELLS]
    assert all(reason.endswith(".") for _, reason, *_ in lines)
    assert counts(await imports.commit(made)) == {"new": 5, "invalid": len(CELLS)}
    assert await imports.errors(made) == [head, *lines]


async def test_an_unclosed_quotation_mark_near_the_start(imports: Imports) -> None:
    """A mark that is never closed costs its row alone: the columns are told by all the rows behind it as well."""
    people = "".join(f"p{number}@example.com;Ann\n" for number in range(50))
    made = await imports.uploaded(f'Email;Name\nno address;Max\nb@example.com;"open\n{people}')
    assert counts(await imports.preview(made)) == {"new": 50, "invalid": 2}


async def test_put_right_and_uploaded_again(imports: Imports) -> None:
    """The file of bad rows is itself a file to upload: with its addresses put right, its rows become leads."""
    made = await imports.imported("Email,First Name\nann@example.com,Ann\nbob(at)example.com,Bob\nno address,Max\n")
    lines = await imports.errors(made)
    lines[1][2] = "bob@example.com"
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    again = await imports.imported(text.getvalue())
    assert counts(again) == {"new": 1, "invalid": 1}
    assert (await imports.leads())["bob@example.com"]["firstName"] == "Bob"


async def test_every_block(imports: Imports) -> None:
    """Bad rows of all blocks are there, in the order of the file; a block without any adds none."""
    blocks = [[f"b{block}r{row}@example.com" for row in range(5)] for block in range(3)]
    blocks[0][1], blocks[0][4], blocks[2][0] = "bad", "worse", "worst"
    made = await imports.uploaded(in_blocks("Email", *blocks))
    _, *lines = await imports.errors(made)
    assert [(line, cells[0]) for line, _, *cells in lines] == [("3", "bad"), ("6", "worse"), ("12", "worst")]


async def test_nothing_wrong(imports: Imports) -> None:
    """A file without bad rows has a header and nothing else."""
    assert await imports.errors(await imports.uploaded("Email\nann@example.com\n")) == [["Line", "Reason", "Email"]]


async def test_another_address_column(imports: Imports) -> None:
    """Another column of addresses means other bad rows, other duplicates and other leads, in every block."""
    blocks = [[f"b{block}r{row}@example.com,h{block}r{row}@home.example" for row in range(5)] for block in range(2)]
    blocks[0][1] = "no address,only-home@home.example"
    blocks[0][2] = "only-work@example.com,"
    blocks[1][3] = "other@example.com,h0r0@home.example"
    blocks[1][4] = "b0r0@example.com,no address"
    made = await imports.uploaded(in_blocks("Work mail,Home mail", *blocks), duplicatePolicy="skip")
    columns = [{"position": 0, "target": "email"}, {"position": 1, "target": "ignore"}]
    lines_of, found = {}, {}
    for position in (0, 1, 0):
        body = {"columns": [*columns, {"position": 2, "target": "ignore"}]}
        body["columns"] = [
            {**one, "target": "email" if one["position"] == position else "ignore"} for one in body["columns"]
        ]
        put = await imports.client.put(f"{imports.base}/imports/{made['id']}/mapping", json=body)
        assert put.status_code == 200, put.text
        _, *lines = await imports.errors(made)
        lines_of[position] = [line for line, *_ in lines]
        found[position] = counts(await imports.preview(made))
    assert lines_of == {0: ["3"], 1: ["4", "11"]}
    assert found == {
        0: {"new": 8, "duplicateInFile": 1, "invalid": 1},
        1: {"new": 7, "duplicateInFile": 1, "invalid": 2},
    }
    assert counts(await imports.commit(made)) == found[0]
