"""Reads the words of a text without accents, marks and case, so that its spellings in many files become one."""

import re
import unicodedata
from functools import lru_cache

_WORD = re.compile(r"[a-z0-9]+")
# Letters that have no decomposition of their own.
_PLAIN = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "AE", "œ": "oe", "\u0131": "i", "đ": "d"}
)


@lru_cache(maxsize=32_768)
def fold_words(text: str) -> str:
    """Return the words of a text in lower case, without accents, separated by single blanks."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.translate(_PLAIN)).encode("ascii", "ignore").decode()
    return " ".join(_WORD.findall(text.lower()))
