"""Decodes the text of message headers."""

import base64
import binascii
import contextlib
import quopri
import re
from collections.abc import Iterator

from domain.storable_text import remove_unstorable
from email_text.charsets import decode_text, find_codec

MAX_HEADER_CHARACTERS = 10_000
"""How many characters of a header are read."""

ENCODED_WORD = re.compile(r"=\?([^?*\s]{1,80})(?:\*[^?\s]{0,80})?\?([bBqQ])\?([^?]*)\?=")
"""An encoded word (RFC 2047), with the language that RFC 2231 allows. Its text may have blanks, which are common."""


def unfold_header(value: object) -> str:
    """Return the value of a header on one line, before encoded words are decoded; raw bytes are read as UTF-8."""
    text = str(value)[:MAX_HEADER_CHARACTERS]
    if not text.isascii():
        # The parser keeps bytes that are not ASCII as halves of surrogate pairs.
        with contextlib.suppress(UnicodeEncodeError):  # Text that was decoded already.
            text = decode_text(text.encode("ascii", "surrogateescape"), None)
    return " ".join(remove_unstorable(text).split())


def decode_header_text(value: object) -> str:
    """Return the value of a header on one line; encoded words (RFC 2047) with a known charset are decoded."""
    line = unfold_header(value)
    if "=?" in line:
        line = " ".join("".join(_decode_words(line)).split())
    return remove_unstorable(line)


def _decode_words(line: str) -> Iterator[str]:
    """Yield the text between encoded words, and that of each run of words with one charset.

    A run is decoded at once, because some programs split a character between two words. Blanks between two words are no
    part of the text.
    """
    end, charset, pending = 0, "", b""
    for match in ENCODED_WORD.finditer(line):
        raw = _decode_word(match[2], match[3]) if find_codec(match[1]) else None
        if raw is None:
            continue
        between = line[end : match.start()]
        if pending and not between.strip() and match[1].lower() == charset:
            pending += raw
        else:
            if pending:
                yield decode_text(pending, charset)
            if not end or between.strip():
                yield between
            charset, pending = match[1].lower(), raw
        end = match.end()
    if pending:
        yield decode_text(pending, charset)
    yield line[end:]


def _decode_word(encoding: str, text: str) -> bytes | None:
    if encoding in "qQ":
        return quopri.decodestring(text.encode("utf-8"), header=True)
    try:
        return base64.b64decode(text.rstrip("= ") + "=" * (-len(text.rstrip("= ")) % 4))
    except (binascii.Error, ValueError):
        return None
