"""Decodes the bytes of mails by the declared character set, or by the usual ones if that is missing or wrong."""

import codecs

_HARMFUL = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
"""Codecs of Python that are not character sets of mails; the first two take quadratic time."""
_SUPERSETS = {"iso8859-1": "cp1252", "ascii": "utf-8", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949"}
"""The superset that is usually meant by a character set, as in browsers."""


def find_codec(charset: str) -> str | None:
    """Return the codec of a character set; None if it is unknown or not a character set of mails."""
    try:
        codec = codecs.lookup(charset)
    except (LookupError, ValueError, TypeError):
        return None
    # Codecs such as rot13 convert text to text, and codecs such as bz2 convert bytes to bytes.
    is_text = getattr(codec, "_is_text_encoding", True)
    return _SUPERSETS.get(codec.name, codec.name) if is_text and codec.name not in _HARMFUL else None


def decode_text(raw: bytes, charset: str | None) -> str:
    """Return bytes as text; if the character set is missing, unknown or wrong, as UTF-8, else as Windows-1252."""
    codec = find_codec(charset) if charset else None
    for guess in (codec, "utf-8") if codec else ("utf-8",):
        try:
            return raw.decode(guess)
        except ValueError:
            continue
    return raw.decode(codec if codec and codec != "utf-8" else "cp1252", "replace")
