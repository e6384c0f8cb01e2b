r"""Decodes bytes of any encoding into text with \n as line ending, or reports where they are not text."""

import codecs
import io
import re
from collections.abc import Sequence
from threading import Event
from typing import IO

from api.imports.files.errors import UnreadableFile

CHUNK_BYTES = 1024 * 1024
MAX_LINE_CHARACTERS = 1_000_000
_ISO_2022_JP = re.compile(rb"\x1b\$[@B]")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
MOST_CONTROL_SHARE = 0.01
"""The share of control characters above which a file is not text."""
MOST_BROKEN_SHARE = 0.1
"""The share of non-ASCII letters that may be invalid in a UTF-8 file."""
FEWEST_WIDE = 0.05
"""The share of NUL bytes, all in the same half of the characters, from which text with line breaks is UTF-16."""
ENOUGH_WIDE = 0.4
"""The same for text without line breaks."""

# UTF-32 before UTF-16, because its byte order mark begins with that of UTF-16.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class ReadingStopped(Exception):
    """The caller has cancelled the reading."""


def guess_encodings(head: bytes) -> Sequence[tuple[str, str]]:
    """Return the possible Unicode encodings of a file with this beginning and their error handlers, most likely first.

    A file that is none of them is in a code page, which `encodings` guesses.
    """
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return [(encoding, "replace" if encoding == "utf-8-sig" else "strict")]
    if b"\x00" not in head:
        if _ISO_2022_JP.search(head):
            return [("iso2022_jp_2", "strict")]
        strict = ("utf-8", "strict")
        return [strict, ("utf-8", "replace")] if _is_mostly_utf8(head) else [strict]
    for encoding, zeros, others in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        share = zeros.count(0) / (len(head) // 2 or 1)
        if share > FEWEST_WIDE and others.count(0) <= zeros.count(0) / 10:
            text = head.decode(encoding, "ignore")
            if share > ENOUGH_WIDE or "\n" in text or "\r" in text:
                return [(encoding, "strict")]
    line = head.count(b"\n", 0, head.index(0)) + 1
    raise UnreadableFile(f"Line {line} of the file contains a NUL byte. Upload a text file or a workbook.")


def _is_mostly_utf8(head: bytes) -> bool:
    """Return whether most non-ASCII letters are valid UTF-8, so that the others are errors."""
    text = head.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    wide = sum(character > "\x7f" for character in text) - broken if not text.isascii() else 0
    return wide > 0 and broken <= wide * MOST_BROKEN_SHARE


def decode(source: IO[bytes], target: IO[str], encoding: tuple[str, str], *, most_bytes: int, stop: Event) -> None:
    """Write `source` to `target` as text; raises UnreadableFile, UnicodeDecodeError and ReadingStopped.

    At most `most_bytes` are read.
    """
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding[0])(encoding[1]), translate=True)
    line, so_far, is_blank, left = 1, 0, True, most_bytes
    while True:
        if stop.is_set():
            raise ReadingStopped
        raw = source.read(CHUNK_BYTES)
        left -= len(raw)
        if left < 0:
            raise UnreadableFile(f"The file contains more than {most_bytes / 1024**2:,.0f} MB of text. Split it.")
        text = decoder.decode(raw, final=not raw)
        _check_text(text, line)
        parts = text.split("\n")
        if max(map(len, parts)) + so_far > MAX_LINE_CHARACTERS:
            _check_lines(parts, so_far, line)
        so_far = len(parts[-1]) + (so_far if len(parts) == 1 else 0)
        line += len(parts) - 1
        is_blank = is_blank and (not text or text.isspace())
        target.write(text)
        if not raw:
            break
    if is_blank:
        raise UnreadableFile("The file is empty.")


def _check_lines(parts: Sequence[str], so_far: int, first_line: int) -> None:
    for number, part in enumerate(parts, start=first_line):
        if len(part) + (so_far if number == first_line else 0) > MAX_LINE_CHARACTERS:
            raise UnreadableFile(
                f"Line {number} is longer than {MAX_LINE_CHARACTERS:,} characters. Check that the file has line breaks."
            )


def _check_text(text: str, first_line: int) -> None:
    found = CONTROL.findall(text)
    if "\x00" in found:
        line = first_line + text.count("\n", 0, text.index("\x00"))
        raise UnreadableFile(f"Line {line} of the file contains a NUL byte. Upload a text file or a workbook.")
    if len(found) > len(text) * MOST_CONTROL_SHARE:
        raise UnreadableFile("The file is not a text table. Save it as CSV and upload the CSV file.")
