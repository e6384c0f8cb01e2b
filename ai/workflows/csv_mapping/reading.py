"""Reads headers and columns: words without accents, marks and case, values without blanks."""

import re
import unicodedata
from functools import lru_cache

from ai.workflows.csv_mapping.state import Column

MAX_VALUES = 200
MAX_VALUE_CHARACTERS = 200
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@lru_cache(maxsize=8_192)
def fold(text: str) -> str:
    """Return the words of a text in lower case, without accents, separated by single blanks."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return " ".join(re.findall(r"[a-z0-9]+", plain.lower()))


def words_of(header: str) -> str:
    """Return a header in plain words: `E-Mail_Adresse` and `EMailAdresse` alike; a number at its end is dropped."""
    words = fold(_CAMEL.sub(" ", header)).split()
    while len(words) > 1 and words[-1].isdecimal():
        words.pop()
    if words and not words[-1].isdecimal():
        words[-1] = words[-1].rstrip("0123456789")
    return " ".join(words)


def columns_of(headers: list[str], rows: list[list[str]]) -> list[Column]:
    """Return the columns of a file; a short row counts as blank where it ends."""
    rows = rows[:MAX_VALUES]
    columns = []
    for position, header in enumerate(headers):
        values = [row[position].strip()[:MAX_VALUE_CHARACTERS] for row in rows if position < len(row)]
        filled = tuple(value for value in values if value)
        fill = len(filled) / len(rows) if rows else 0.0
        columns.append(Column(position=position, header=header, words=words_of(header), values=filled, fill=fill))
    return columns
