"""Decodes the bytes of mails by the declared character set, or by the usual ones if that is missing or wrong."""

import codecs
import re

from email_text.iso_2022 import JAPANESE_ESCAPE, decode_iso_2022_jp

_HARMFUL = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
"""Codecs of Python that are not character sets of mails; the first two take quadratic time."""
_SUPERSETS = {
    "ascii": "utf-8",
    "big5": "big5hkscs",
    "euc_jp": "euc_jis_2004",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "iso2022_jp_1": "iso2022_jp",
    "iso2022_jp_2": "iso2022_jp",
    "iso2022_jp_3": "iso2022_jp",
    "iso2022_jp_ext": "iso2022_jp",
    "iso2022_jp_2004": "iso2022_jp",
    "shift_jis": "cp932",
    "tis-620": "cp874",
}
"""The superset that is usually meant by a character set, as in browsers."""
_LABELS = {
    **dict.fromkeys(("cp50220", "cp50221", "cp50222", "x-windows-iso2022jp", "csiso2022jp", "jis"), "iso2022_jp"),
    **dict.fromkeys(("x-sjis", "shift-jis", "ms_kanji", "windows-31j", "x-ms-cp932", "sjis-win"), "cp932"),
    **dict.fromkeys(("x-euc-jp", "cp51932", "eucjp-ms", "eucjp-win"), "euc_jis_2004"),
    **dict.fromkeys(("x-gbk", "gb_2312-80", "iso-ir-58", "csgb2312", "csiso58gb231280", "cp936", "ms936"), "gb18030"),
    **dict.fromkeys(("big5-hkscs", "cn-big5", "x-x-big5", "csbig5"), "big5hkscs"),
    **dict.fromkeys(("windows-949", "ks_c_5601-1987", "ks_c_5601-1989", "ksc_5601", "cseuckr", "korean"), "cp949"),
    **dict.fromkeys(("windows-874", "dos-874", "x-windows-874"), "cp874"),
    **dict.fromkeys(("unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "x-unicode20utf8", "utf8mb4"), "utf-8"),
    **dict.fromkeys(("iso-8859-8-i", "iso-8859-8-e", "logical", "visual", "csiso88598i", "csiso88598e"), "iso8859-8"),
    **dict.fromkeys(("x-mac-roman", "macintosh", "mac", "csmacintosh"), "mac-roman"),
    **dict.fromkeys(("x-mac-cyrillic", "x-mac-ukrainian"), "mac-cyrillic"),
    **{f"x-cp{number}": f"cp{number}" for number in range(1250, 1259)},
    **dict.fromkeys(("koi", "koi8", "koi8-ru", "cskoi8r"), "koi8-u"),
    **dict.fromkeys(("sun_eu_greek", "ecma-118", "elot_928"), "iso8859-7"),
    **dict.fromkeys(("ansi", "default", "_autodetect", "x-unknown", "unknown-8bit", "unknown", "8bit"), "utf-8"),
}
"""Names of character sets in mails (WHATWG and mail programs) that Python does not know, or knows as a smaller set."""
_MULTI_BYTE = {"gb18030", "big5hkscs", "cp949", "cp932", "euc_jis_2004"}
MIN_CERTAIN_CHARACTERS = 4
"""How many characters of UTF-8 show that a text is not in a declared multi-byte set; fewer can be valid in both."""
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_META = re.compile(rb"<meta\b[^<>]{0,200}?\bcharset\s{0,9}=\s{0,9}[\"']?([\w.:-]{2,60})", re.IGNORECASE)
MAX_META_BYTES = 2048
MAX_LABEL_CHARACTERS = 60


def find_codec(charset: str) -> str | None:
    """Return the codec of a character set; None if it is unknown or not a character set of mails."""
    label = charset[:MAX_LABEL_CHARACTERS].strip("\t\n\f\r '\"").lower()
    try:
        codec = codecs.lookup(_LABELS.get(label, label))
    except (LookupError, ValueError, TypeError):
        return None
    # Codecs such as rot13 convert text to text, and codecs such as bz2 convert bytes to bytes.
    is_text = getattr(codec, "_is_text_encoding", True)
    return _SUPERSETS.get(codec.name, codec.name) if is_text and codec.name not in _HARMFUL else None


def decode_text(raw: bytes, charset: str | None) -> str:
    """Return bytes as text; if the character set is missing, unknown or wrong, as UTF-8, else as Windows-1252.

    A text that is valid UTF-8 is UTF-8, whatever the declared set of 8-bit characters is.
    """
    codec = find_codec(charset) if charset else None
    if (codec in {None, "utf-8", "cp1252"} and JAPANESE_ESCAPE.search(raw)) or (
        codec == "iso2022_jp" and not _has_utf8(raw, 1)
    ):
        return decode_iso_2022_jp(raw)
    if codec is None or _has_utf8(raw, MIN_CERTAIN_CHARACTERS if codec in _MULTI_BYTE else 1):
        guesses = ["utf-8", codec]
    else:
        guesses = [codec, "utf-8"]
    for guess in guesses:
        if guess:
            try:
                return raw.decode(guess).removeprefix("\ufeff")
            except ValueError:
                continue
    if codec in {None, "utf-8"}:
        return _decode_cut_utf8(raw) or raw.decode("cp1252", "replace")
    return raw.decode(codec or "cp1252", "replace")


def find_declared_charset(html: bytes) -> str | None:
    """Return the character set that HTML declares in its first bytes."""
    match = _META.search(html[:MAX_META_BYTES])
    return match[1].decode("ascii", "replace") if match else None


def _decode_cut_utf8(raw: bytes) -> str:
    """Return a text that is valid UTF-8 until a last character that was cut, or an empty one."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(raw)
    except ValueError:
        return ""
    return "" if text.isascii() else text


def _has_utf8(raw: bytes, characters: int) -> bool:
    """Return whether bytes are valid UTF-8 with at least this number of characters beyond ASCII."""
    if raw.isascii():
        return False
    try:
        text = raw.decode("utf-8")
    except ValueError:
        return False
    found = _NOT_ASCII.finditer(text)
    return all(next(found, None) for _ in range(characters))
