"""Decodes the text of message headers."""

from email.errors import MessageError
from email.header import decode_header

from domain.storable_text import remove_unstorable
from email_text.charsets import decode_text, find_codec

MAX_HEADER_CHARACTERS = 10_000
"""How many characters of a header are read."""


def decode_header_text(value: object) -> str:
    """Return the value of a header on one line; encoded words (RFC 2047) with a known charset are decoded."""
    line = " ".join(str(value)[:MAX_HEADER_CHARACTERS].split())
    try:
        pieces = decode_header(line)
        if all(charset is None or find_codec(charset) for _, charset in pieces):
            line = "".join(_decode_piece(text, charset) for text, charset in pieces)
    except (MessageError, LookupError, ValueError):
        pass
    return remove_unstorable(line)


def _decode_piece(text: bytes | str, charset: str | None) -> str:
    if isinstance(text, str):
        return text
    if charset is None:
        return text.decode("raw-unicode-escape")  # As the library encodes text between encoded words.
    return decode_text(text, charset)
