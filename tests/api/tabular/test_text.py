import io

import pytest

from api.tabular.text import CHUNK_BYTES, MAX_LINE_CHARACTERS, UnreadableFile, open_text

TEXT = "Name;Ort\r\nJürgen;Köln\rZoë € “x”;Ø\n"
READ = "Name;Ort\nJürgen;Köln\nZoë € “x”;Ø\n"


def read(data: bytes) -> str:
    """Return what a file is read as."""
    with open_text(io.BytesIO(data)) as text:
        return text.read()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encodings(encoding: str) -> None:
    """The same text comes out of every encoding, with or without a mark, with all line ends made one."""
    assert read(TEXT.encode(encoding)) == READ


def test_latin_1() -> None:
    """A byte that Windows-1252 has no sign for does not stop a file."""
    assert read(b"caf\xe9\x81\n") == "caf\xe9\x81\n"


def test_line_end_between_chunks() -> None:
    """A line end of two characters, and a letter of two bytes, may fall between two reads."""
    for fill in (CHUNK_BYTES - 1, CHUNK_BYTES - 2):
        data = (b"x" * 99 + b"\n") * (fill // 100) + b"y" * (fill % 100)
        assert read(data + b"\r\nend\n").endswith("y\nend\n")
        assert read(data + "é\n".encode()).endswith("yé\n")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b" \r\n\t\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"PK\x03\x04rest", "Excel workbook or a ZIP"),
        (b"\x1f\x8b\x08rest", "compressed"),
        (b"%PDF-1.7", "PDF"),
        (b"a,b\n1,2\n3,\x004\n", "Line 3 of the file holds a NUL byte"),
        (b"a,b\n" * CHUNK_BYTES + b"\x00", f"Line {CHUNK_BYTES + 1} of the file holds a NUL byte"),
        (bytes(range(1, 32)) * 100, "not a table in text form"),
        (b"a\n" + b"x" * (MAX_LINE_CHARACTERS + 1), "Line 2 is longer than 1,000,000 characters"),
        (b"x" * (3 * CHUNK_BYTES), "Line 1 is longer than 1,000,000 characters"),
        (b"\xff\xfea\x00\x00\xd8b\x00", "breaks off"),
        (b"\xff\xfea", "breaks off"),
    ],
)
def test_unreadable(data: bytes, sentence: str) -> None:
    """What is no text is refused in a sentence that says what or where."""
    with pytest.raises(UnreadableFile, match=sentence):
        read(data)
