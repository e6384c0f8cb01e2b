import asyncio
import gzip
import io
import subprocess
import sys
import threading
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from xml.sax.saxutils import escape

import pytest

from api.imports.files.blocks import read_frames, read_layout
from api.imports.files.decoding import ReadingStopped
from api.imports.files.sheets import display_cell
from api.imports.files.text import UnreadableFile, open_text, open_text_reader
from api.imports.files.workbook import read_sheet_as_csv
from tests.architecture.tree import PACKAGES

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
STYLES = f"""<styleSheet xmlns="{MAIN}"><fonts count="1"><font/></fonts><fills count="1"><fill/></fills>
<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>
<cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/></cellXfs></styleSheet>"""

Rows = Sequence[Sequence[str]]


def text(value: str) -> str:
    """Return a cell of text."""
    return f't="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is>'


def number(value: object, style: int = 0) -> str:
    """Return a cell of a number, or of a date where the style says so."""
    return f's="{style}"><v>{value}</v>'


def sheet_xml(rows: Rows, first_row: int = 1) -> str:
    """Return the part of a workbook that holds a sheet's cells; a blank one is left out."""
    body = "".join(
        f'<row r="{at}">'
        + "".join(f'<c r="{chr(65 + place)}{at}" {cell}</c>' for place, cell in enumerate(row) if cell)
        + "</row>"
        for at, row in enumerate(rows, start=first_row)
    )
    return f'<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>'


def workbook(*sheets: tuple[str, str, str]) -> bytes:
    """Return a workbook of sheets with a name, a state and their XML."""
    names = "".join(
        f'<sheet name="{name}" sheetId="{at}" state="{state}" r:id="rId{at}"/>'
        for at, (name, state, _) in enumerate(sheets, start=1)
    )
    links = "".join(
        f'<Relationship Id="rId{at}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{at}.xml"/>'
        for at in range(1, len(sheets) + 1)
    )
    links += f'<Relationship Id="rIdS" Type="{OFFICE}/styles" Target="styles.xml"/>'
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="rId1" Type="{OFFICE}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">{links}</Relationships>',
        "xl/styles.xml": STYLES,
        **{f"xl/worksheets/sheet{at}.xml": xml for at, (_, _, xml) in enumerate(sheets, start=1)},
    }
    return archive(parts)


def archive(parts: dict[str, str]) -> bytes:
    """Return a ZIP archive, the same at any time."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        for name, part in parts.items():
            made.writestr(zipfile.ZipInfo(name), part, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def table(*rows: Sequence[str]) -> str:
    """Return a sheet of text."""
    return sheet_xml([[text(cell) if cell else "" for cell in row] for row in rows])


def container(directory_sector: int) -> bytes:
    """Return an old Office file that holds an encrypted workbook."""
    header = bytearray(512)
    header[:4], header[30:32], header[48:52] = b"\xd0\xcf\x11\xe0", b"\x09\x00", directory_sector.to_bytes(4, "little")
    return bytes(header) + bytes(512 * directory_sector) + "EncryptedPackage".encode("utf-16-le").ljust(512, b"\x00")


LEADS = table(["Name", "Email"], ["Ann", "ann@example.com"], ["Bob", ""])
HIDDEN = ("Hidden", "hidden", table(["Secret"], ["x"]))


def read(data: bytes, sheet: str | None = None) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the headers of a file, and its rows with their lines."""
    with open_text(io.BytesIO(data), sheet=sheet) as opened:
        layout, _ = read_layout(opened)
        rows = [row for frame in read_frames(opened, layout) for row in frame.iter_rows()]
    assert {row[1] for row in rows} <= {None}
    return layout.headers, [(row[0], list(row[3:])) for row in rows]


def test_the_first_sheet_that_holds_anything() -> None:
    """Empty and hidden sheets are passed over; cells that are missing in the file are blank."""
    data = workbook(("Empty", "visible", sheet_xml([])), HIDDEN, ("Leads", "visible", LEADS))
    assert read(data) == (["Name", "Email"], [(2, ["Ann", "ann@example.com"]), (3, ["Bob", ""])])
    assert read(gzip.compress(data))[0] == ["Name", "Email"]


def test_a_sheet_by_its_name() -> None:
    """Another sheet is read when it is named, a hidden one too; an unknown name is answered with those there are."""
    data = workbook(("Leads", "visible", LEADS), ("Übersicht", "visible", table(["A", "B"], ["1", "2"])), HIDDEN)
    assert read(data, "übersicht")[0] == ["A", "B"]
    assert read(data, "Hidden")[0] == ["Secret"]
    with pytest.raises(UnreadableFile, match=r"no sheet called 'Nope'\. Its sheets are 'Leads', 'Übersicht'"):
        read(data, "Nope")


def test_cells_as_a_person_sees_them() -> None:
    """Numbers, dates, truth, errors and text arrive as they look in the sheet, whatever they hold."""
    odd = 'a "b", c;\td\nsecond line'
    row = [
        number("1234.0"),
        number("0.30000000000000004"),
        number(43832, 1),
        number(43832.5, 2),
        't="b"><v>1</v>',
        't="e"><v>#N/A</v>',
        text(odd),
        text(" =x "),
    ]
    names = ["Whole", "Part", "Day", "Moment", "Truth", "Error", "Note", "Blanks"]
    _, rows = read(workbook(("S", "visible", sheet_xml([[text(name) for name in names], row]))))
    assert rows == [(2, ["1234", "0.3", "2020-01-02", "2020-01-02T12:00:00", "TRUE", "", odd, " =x "])]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (27821234567.0, "27821234567"),
        (-3.0, "-3"),
        (1e20, "1e+20"),
        (False, "FALSE"),
        (date(2020, 1, 2), "2020-01-02"),
        (datetime(2020, 1, 2), "2020-01-02"),  # noqa: DTZ001 - a spreadsheet knows no timezone
        (datetime(2020, 1, 2, 8, 29, 59, 999_999), "2020-01-02T08:30:00"),  # noqa: DTZ001 - as above
        (time(8, 30), "08:30:00"),
        (timedelta(hours=30, minutes=5), "30:05:00"),
        ("a\x00b", "ab"),
    ],
)
def test_shown(cell: float | str | date | time | timedelta, expected: str) -> None:
    """A number has no more digits than a spreadsheet shows, a day no time, a time no fractions."""
    assert display_cell(cell) == expected


def test_lines_are_the_rows_of_the_sheet() -> None:
    """Notes, blank rows and blank columns before the table cost nothing; rows are counted as the sheet counts them."""
    rows = [["Report of May"], [], ["Name", "Email"], ["Ann", "ann@example.com"], [], ["Bob", "bob@example.com"]]
    sheet = sheet_xml([["", "", *map(text, row)] for row in rows], first_row=3)
    assert read(workbook(("S", "visible", sheet))) == (
        ["Name", "Email"],
        [(6, ["Ann", "ann@example.com"]), (8, ["Bob", "bob@example.com"])],
    )


def test_delimiters_inside_cells() -> None:
    """What stands inside cells, however regular, does not decide where they end."""
    rows = [["Name", "Place; Street; Number"], *([f"Ann {at}", "Ulm; Long Street; 1"] for at in range(20))]
    assert read(workbook(("S", "visible", table(*rows)))) == (rows[0], list(enumerate(rows[1:], start=2)))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (workbook(HIDDEN, ("Empty", "visible", sheet_xml([]))), "The workbook has no visible sheet with cells"),
        (workbook(("S", "visible", LEADS))[:-40], "damaged"),
        (workbook(("S", "visible", "<worksheet><sheetData><row")), "workbook"),
        (archive({"leads.csv": "a,b\n"}), "ZIP archive: unpack it"),
        (archive({"mimetype": "x", "content.xml": "x"}), "OpenDocument"),
        (archive({"word/document.xml": "x"}), "not a workbook"),
        (archive({"Index/Document.iwa": "x"}), "Numbers document"),
        (archive({"xl/workbook.bin": "x"}), ".xlsb"),
        (b"PK\x03\x04" + bytes(100), "damaged"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "old Excel workbook"),
        (container(directory_sector=1), "protected by a password"),
        (container(directory_sector=9000), "protected by a password"),
        (gzip.compress(container(directory_sector=9000), mtime=0), "protected by a password"),
        (container(directory_sector=9000)[:-600], "old Excel workbook"),
    ],
)
def test_no_workbook(data: bytes, sentence: str) -> None:
    """What is no workbook, or one that cannot be read, is refused in a sentence."""
    with pytest.raises(UnreadableFile, match=sentence):
        read(data)


def opened(data: bytes, *, most_bytes: int = 10**8, seconds: float = 60, stop: threading.Event | None = None) -> bytes:
    """Return a workbook's sheet as CSV, within limits, unless it is stopped."""
    with read_sheet_as_csv(
        io.BytesIO(data), None, most_bytes=most_bytes, stop=stop or threading.Event(), seconds=seconds
    ) as written:
        return written.read()


def test_bombs() -> None:
    """A workbook that unpacks to more than is allowed, in the archive or in memory, is refused in a sentence."""
    large = workbook(("S", "visible", table(["x" * 30_000] * 10, *[["y" * 30_000]] * 30)))
    assert len(large) < 10_000
    assert opened(large).startswith(b'"xxx')
    with pytest.raises(UnreadableFile, match="The workbook contains more than 0 MB of text"):
        opened(large, most_bytes=20_000)
    with pytest.raises(UnreadableFile, match="The sheet holds more than 1 MB of text"):
        opened(large, most_bytes=1024**2)
    far = sheet_xml([[text("x")]]).replace(
        "</sheetData>", '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    )
    with pytest.raises(UnreadableFile, match="too much memory or time"):
        opened(workbook(("S", "visible", far)))


def test_time_limit() -> None:
    """A workbook that takes too long is given up."""
    with pytest.raises(UnreadableFile, match="too much memory or time"):
        opened(workbook(("S", "visible", LEADS)), seconds=0)


def test_stopped() -> None:
    """A reader that is stopped does not wait for the text."""
    stop, sheet = threading.Event(), workbook(("S", "visible", LEADS))
    stop.set()
    for data in (b"a,b\n1,2\n", sheet):
        with pytest.raises(ReadingStopped):
            open_text(io.BytesIO(data), stop=stop)
    # Before the text is looked at, too: the process that writes it is not waited for.
    with pytest.raises(ReadingStopped):
        opened(sheet, stop=stop)


class _Waiting(io.BytesIO):
    """A file whose reader is told of, and then waits until it may go on."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.is_read, self.may_go_on = threading.Event(), threading.Event()
        self.readers = 0

    def read(self, size: int | None = -1) -> bytes:
        self.readers += 1
        self.is_read.set()
        self.may_go_on.wait()
        self.readers -= 1
        return super().read(size)


def test_cancelled() -> None:
    """When the caller is cancelled, the thread has let go of the file by the time the caller goes on."""
    source = _Waiting(workbook(("S", "visible", LEADS)))

    async def use() -> None:
        async with open_text_reader(source):
            raise AssertionError("the text was opened after the cancellation")

    async def cancel() -> None:
        using = asyncio.create_task(use())
        await asyncio.to_thread(source.is_read.wait)
        using.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert (using.done(), source.readers) == (False, 1)
        source.may_go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await using
        assert source.readers == 0
        source.close()

    asyncio.run(cancel())


def test_reading_text() -> None:
    """Without a hitch the text is handed over, and closed after."""

    async def use() -> None:
        async with open_text_reader(io.BytesIO(workbook(HIDDEN, ("Leads", "visible", LEADS))), sheet="Leads") as opened:
            assert opened.readline() == '"Name","Email"\n'
        assert opened.closed

    asyncio.run(use())


def test_the_process_stands_alone() -> None:
    """What reads a hostile file loads neither the service nor what it stands on, and so starts at once."""
    loaded = "import sys, api.imports.files.sheets; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True, encoding="utf-8")
    modules = set(process.stdout.split())
    foundations = ("fastapi", "polars", "pydantic", "sqlalchemy", "starlette")
    names = {name for name in modules if name.partition(".")[0] in {*PACKAGES, *foundations}}
    assert names == {"api", "api.imports", "api.imports.files", "api.imports.files.kinds", "api.imports.files.sheets"}
