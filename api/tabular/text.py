"""Turns an uploaded file of any encoding into text on disk, a line at a time, or says why it is no text."""

import codecs
import io
import re
import tempfile
from typing import IO

from api.errors import Malformed

CHUNK_BYTES = 1024 * 1024
MAX_LINE_CHARACTERS = 1_000_000
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
MOST_CONTROL_SHARE = 0.01
"""Text with more control characters than this is no text."""

KINDS = {
    b"PK\x03\x04": "an Excel workbook or a ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "compressed",
    b"%PDF": "a PDF",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
}
# UTF-32 before UTF-16, whose mark it begins with.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class UnreadableFile(Malformed):
    """The file cannot be read as a table; the sentence says what it is or where it breaks."""

    code = "unreadable_file"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, errors=[{"location": ["body", "file"], "message": detail}])


def open_text(source: IO[bytes]) -> IO[str]:
    r"""Return the file as a temporary text file, at its start, every line ended by \n; raises UnreadableFile."""
    head = source.read(CHUNK_BYTES)
    if not head:
        raise UnreadableFile("The file is empty.")
    for magic, kind in KINDS.items():
        if head.startswith(magic):
            raise UnreadableFile(f"The file is {kind}, not a table in text form: save it as CSV and upload that.")
    encodings = _encodings(head)
    for encoding in encodings:
        source.seek(0)
        target = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115 - the caller closes it
        try:
            _decode(source, target, encoding)
        except BaseException as error:
            target.close()
            if isinstance(error, UnicodeDecodeError) and encoding != encodings[-1]:
                continue
            if isinstance(error, UnicodeDecodeError):
                raise UnreadableFile(f"The file begins as {encoding} text and breaks off: {error.reason}.") from error
            raise
        target.seek(0)
        return target
    raise AssertionError("there is always a last encoding")


def _encodings(head: bytes) -> list[str]:
    """Return what the file may be encoded in, the likeliest first."""
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return [encoding]
    if b"\x00" not in head:
        # cp1252 knows no sign for five bytes; Latin-1 knows one for each, and so always answers.
        return ["utf-8", "cp1252", "latin-1"]
    # Mostly Latin letters in UTF-16 without a mark: every other byte is NUL.
    even, odd = head[::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if odd > half * 0.4 and even < half * 0.1:
        return ["utf-16-le"]
    if even > half * 0.4 and odd < half * 0.1:
        return ["utf-16-be"]
    line = head.count(b"\n", 0, head.index(0)) + 1
    raise UnreadableFile(f"Line {line} of the file holds a NUL byte: it is not a text file.")


def _decode(source: IO[bytes], target: IO[str], encoding: str) -> None:
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    line, so_far, is_blank = 1, 0, True
    while True:
        raw = source.read(CHUNK_BYTES)
        text = decoder.decode(raw, final=not raw)
        _check_text(text, line)
        parts = text.split("\n")
        for part in parts if max(map(len, parts)) + so_far > MAX_LINE_CHARACTERS else ():
            if so_far + len(part) > MAX_LINE_CHARACTERS:
                raise UnreadableFile(
                    f"Line {line + parts.index(part)} is longer than {MAX_LINE_CHARACTERS:,} characters: "
                    "is this a table with line ends?"
                )
            so_far = 0
        so_far = len(parts[-1]) + (so_far if len(parts) == 1 else 0)
        line += len(parts) - 1
        is_blank = is_blank and (not text or text.isspace())
        target.write(text)
        if not raw:
            break
    if is_blank:
        raise UnreadableFile("The file is empty.")


def _check_text(text: str, first_line: int) -> None:
    found = CONTROL.findall(text)
    if "\x00" in found:
        line = first_line + text.count("\n", 0, text.index("\x00"))
        raise UnreadableFile(f"Line {line} of the file holds a NUL byte: it is not a text file.")
    if len(found) > len(text) * MOST_CONTROL_SHARE:
        raise UnreadableFile("The file is not a table in text form: save it as CSV and upload that.")
