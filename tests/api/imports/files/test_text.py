import gzip
import io

import pytest

from api.imports.files.decoding import CHUNK_BYTES, MAX_LINE_CHARACTERS
from api.imports.files.text import UnreadableFile, open_text

TEXT = "Name;Ort\r\nJürgen;Köln\rZoë € “x”;Ø\n"
READ = "Name;Ort\nJürgen;Köln\nZoë € “x”;Ø\n"


def packed(data: bytes) -> bytes:
    """Return data compressed, the same at any time."""
    return gzip.compress(data, mtime=0)


def read(data: bytes) -> str:
    """Return what a file is read as."""
    with open_text(io.BytesIO(data)) as text:
        return text.read()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "cp1252"])
def test_encodings(encoding: str) -> None:
    """The same text comes out of every encoding that needs no mark, with all line ends made one."""
    assert read(TEXT.encode(encoding)) == READ


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_encodings_with_a_mark(encoding: str) -> None:
    """A mark at the beginning says what the encoding is, in either order of bytes, and is no part of the text."""
    assert read(f"\ufeff{TEXT}".encode(encoding)) == READ
    assert read("\ufeff名前".encode(encoding)) == "名前"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_wide_without_a_mark(encoding: str) -> None:
    """UTF-16 is known without its mark even where few letters are Latin."""
    text = "名前;メール\n山田太郎;山田@例え.example\n佐藤花子;佐藤@例え.example\n"
    assert read(text.encode(encoding)) == text


def test_broken_letters() -> None:
    """One broken letter does not turn a file of UTF-8 into gibberish; it is shown as broken, the others are right."""
    assert read("Jürgen,Köln,Zoë,Ångström,Øre,é,è,ê,à,ç,ñ\n".encode() + b"Z\xfcrich\n") == (
        "Jürgen,Köln,Zoë,Ångström,Øre,é,è,ê,à,ç,ñ\nZ\ufffdrich\n"
    )


def test_gzip() -> None:
    """A compressed file is read whatever its encoding, of several members too."""
    half = len(TEXT) // 2
    for encoding in ("utf-8", "cp1252"):
        data = TEXT.encode(encoding)
        assert read(packed(data)) == READ
        assert read(packed(data[:half]) + packed(data[half:]) + bytes(16)) == READ


def test_most_bytes() -> None:
    """A file that unpacks to more than is allowed is refused when that much is read, not when all is."""
    most = 4 * 1024**2
    bomb = packed(b"name,mail\n" * 4_000_000)
    assert len(bomb) < 100_000
    # Reading on would fail at the end of the cut file.
    for data in (bomb[: len(bomb) // 2], b"name,mail\n" * 2_000_000):
        source = io.BytesIO(data)
        with pytest.raises(UnreadableFile, match="more than 4 MB of text"):
            open_text(source, most_bytes=most)
        assert source.tell() <= most + CHUNK_BYTES


def test_a_byte_that_windows_1252_lacks() -> None:
    """A byte that Windows-1252 has no sign for does not stop a file, and becomes no control character."""
    assert "\x81" not in read(b"Fran\x81ois, Ren\x82\n")


def test_line_end_between_chunks() -> None:
    """A line end of two characters, and a letter of two bytes, may fall between two reads."""
    for fill in (CHUNK_BYTES - 1, CHUNK_BYTES - 2):
        data = (b"x" * 99 + b"\n") * (fill // 100) + b"y" * (fill % 100)
        for after in ("\r\nend\n", "é\n"):
            assert read(data + after.encode()) == data.decode() + after.replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b" \r\n\t\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"PK\x03\x04rest", "Excel workbook or a ZIP"),
        (b"PK\x05\x06rest", "an empty ZIP archive"),
        (packed(TEXT.encode())[:-12], "compressed file is truncated"),
        (packed(b"a,b\n" * 50)[:-8] + bytes(8), "compressed file is damaged"),
        (packed(TEXT.encode()) + b"garbage", "compressed file is damaged"),
        (packed(packed(TEXT.encode())), "compressed twice"),
        (packed(b""), "is empty"),
        (b"BZh91AY", "compressed in a way"),
        (b"\xfd7zXZ\x00", "compressed in a way"),
        (b"7z\xbc\xaf\x27\x1c", "compressed in a way"),
        (b"Rar!\x1a\x07", "compressed in a way"),
        (b"\x28\xb5\x2f\xfd", "compressed in a way"),
        (b"\xef\xbb\xbf\n<HTML><body><table>", "web page"),
        (b"<?xml version='1.0'?>", "web page or XML"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
        (b"\xff\xd8\xff\xe0", "an image"),
        (b"SQLite format 3\x00", "a database"),
        (b"PAR1", "a Parquet file"),
        (b"a,b\n1,2\n3,\x004\n", "Line 3 of the file contains a NUL byte"),
        (b"a,b\n" * CHUNK_BYTES + b"\x00", f"Line {CHUNK_BYTES + 1} of the file contains a NUL byte"),
        (bytes(range(1, 32)) * 100, "not a text table"),
        (b"a\n" + b"x" * (MAX_LINE_CHARACTERS + 1), "Line 2 is longer than 1,000,000 characters"),
        (b"x" * (3 * CHUNK_BYTES), "Line 1 is longer than 1,000,000 characters"),
        (b"\xff\xfea\x00\x00\xd8b\x00", "is truncated"),
        (b"\xff\xfea", "is truncated"),
    ],
)
def test_unreadable(data: bytes, sentence: str) -> None:
    """What is no text is refused in a sentence that says what or where."""
    with pytest.raises(UnreadableFile, match=sentence):
        read(data)
