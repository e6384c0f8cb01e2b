"""Bytes of mail as text, by the charset they claim where that can be believed."""

import codecs

_HARMFUL = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
"""Python's codecs that are no charset of mail; the first two take quadratic time."""
_WIDER = {"iso8859-1": "cp1252", "ascii": "utf-8", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949"}
"""Charsets that are announced where a superset is meant, as browsers know."""


def find_codec(charset: str) -> str | None:
    """Return the codec that reads a charset; None for one that is unknown, or is none of mail."""
    try:
        found = codecs.lookup(charset)
    except (LookupError, ValueError, TypeError):
        return None
    # Codecs such as rot13 make text of text, and those such as bz2 unpack.
    is_text = getattr(found, "_is_text_encoding", True)
    return _WIDER.get(found.name, found.name) if is_text and found.name not in _HARMFUL else None


def decode_text(raw: bytes, charset: str | None) -> str:
    """Return bytes as text; where the charset is missing, unknown or wrong, as UTF-8 or else as Windows-1252."""
    codec = find_codec(charset) if charset else None
    for guess in (codec, "utf-8") if codec else ("utf-8",):
        try:
            return raw.decode(guess)
        except ValueError:
            continue
    return raw.decode(codec if codec and codec != "utf-8" else "cp1252", "replace")
