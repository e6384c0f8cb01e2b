"""Decodes the text of message headers."""

from email.errors import MessageError
from email.header import decode_header, make_header

from domain.storable_text import remove_unstorable
from email_text.charsets import find_codec

MAX_HEADER_CHARACTERS = 10_000
"""How many characters of a header are read."""


def decode_header_text(value: object) -> str:
    """Return the value of a header on one line; encoded words (RFC 2047) with a known charset are decoded."""
    line = " ".join(str(value)[:MAX_HEADER_CHARACTERS].split())
    try:
        pieces = decode_header(line)
        if all(charset is None or find_codec(charset) for _, charset in pieces):
            line = str(make_header(pieces))
    except (MessageError, LookupError, ValueError):
        pass
    return remove_unstorable(line)
