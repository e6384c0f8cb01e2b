"""Reads words: without accents, marks and case, so that spellings of many files become one."""

import re
import unicodedata
from functools import lru_cache

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[a-z0-9]+")
_DIGITS = re.compile(r"\d+")
# Letters that have no decomposition of their own.
_PLAIN = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "AE", "œ": "oe", "\u0131": "i", "đ": "d"}
)


@lru_cache(maxsize=32_768)
def fold(text: str) -> str:
    """Return the words of a text in lower case, without accents, separated by single blanks."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.translate(_PLAIN)).encode("ascii", "ignore").decode()
    return " ".join(_WORD.findall(text.lower()))


def tokens_of(header: str) -> list[str]:
    """Return a header's words: `E-Mail_Adresse 1` and `EMailAdresse` alike; numbers are left out."""
    camel = _CAMEL.sub(" ", header) if not header.isupper() else header
    words = _DIGITS.sub(" ", fold(camel)).split()
    tokens: list[str] = []
    for word in words:
        if tokens and tokens[-1] == "e" and word.startswith(("mail", "pos")):
            tokens[-1] = "e" + word
        else:
            tokens.append(word)
    return tokens
