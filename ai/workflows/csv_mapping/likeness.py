"""How much a column's cells resemble the addresses in the same rows: names stand before the @, companies after it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ai.workflows.csv_mapping import value_words
from ai.workflows.csv_mapping.columns import Column
from ai.workflows.csv_mapping.header_words import Topic
from ai.workflows.csv_mapping.shapes import MOSTLY, Kind, is_free_mail
from ai.workflows.csv_mapping.words import fold

COLUMNS_COMPARED = 3
ROWS_COMPARED = 50
SHORTEST_NAME = 3
SHORTEST_LABEL = 4
_ADDRESS = re.compile(r"([^@\s,;:<>\"()]+)@([^@\s,;:<>\"()]+)\.[^@\s,;:<>\"()]+")
_LETTERS = re.compile(r"[^a-z]")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


@dataclass(frozen=True, slots=True)
class Likeness:
    """Which share of a column's cells (0 to 1) names the row's person or company, by the row's addresses."""

    person: float = 0.0
    company: float = 0.0
    begins: float = 0.0
    """An address begins with a word of the cell."""
    initial: float = 0.0
    """An address begins with the cell's first letter."""


@dataclass(frozen=True, slots=True)
class Row:
    """The letters of a row's addresses: before the @, and of business addresses after it."""

    persons: tuple[str, ...]
    companies: tuple[str, ...]


def rows_of(columns: Sequence[Column]) -> list[Row]:
    """Return the addresses in each row of a file, those of colleagues left out."""
    found = [
        column
        for column in columns
        if column.shape.share(Kind.EMAIL) >= MOSTLY and column.meaning.topic is not Topic.COLLEAGUE
    ]
    fullest = sorted(found, key=lambda column: column.fill, reverse=True)[:COLUMNS_COMPARED]
    return [_row(cells) for cells in zip(*(column.cells[:ROWS_COMPARED] for column in fullest), strict=True)]


def likeness_of(column: Column, rows: Sequence[Row]) -> Likeness:
    """Return how much a column's cells resemble the addresses in their rows."""
    pairs = [(_spellings(cell), row) for cell, row in zip(column.cells, rows, strict=False) if cell]
    named = [(words, row.persons) for words, row in pairs if row.persons]
    owned = [(words, row.companies) for words, row in pairs if row.companies]
    return Likeness(
        person=_share([any(word in before for word in words for before in persons) for words, persons in named]),
        company=_share([any(_names(words, label) for label in companies) for words, companies in owned]),
        begins=_share([any(p.startswith(word) for word in words for p in persons) for words, persons in named]),
        initial=_share([any(words and words[0][0] == before[0] for before in persons) for words, persons in named]),
    )


def _row(cells: Sequence[str]) -> Row:
    addresses = [found for cell in cells for found in _ADDRESS.finditer(cell.casefold())]
    persons = [_LETTERS.sub("", fold(found[1])) for found in addresses]
    companies = [_LETTERS.sub("", found[2]) for found in addresses if not is_free_mail(found[0])]
    return Row(tuple(p for p in persons if p and p not in value_words.MAILBOXES), tuple(filter(None, companies)))


def _spellings(cell: str) -> list[str]:
    """Return the words of a cell that could stand in an address, umlauts written either way."""
    both = fold(cell).split() + (fold(cell.translate(_UMLAUTS)).split() if not cell.isascii() else [])
    return [word for word in both if len(word) >= SHORTEST_NAME]


def _names(words: Sequence[str], label: str) -> bool:
    """Tell whether a company's words name its domain."""
    telling = [word for word in words if word not in value_words.COMPANIES]
    if any(len(word) >= SHORTEST_LABEL and word in label for word in telling):
        return True
    return len(label) >= SHORTEST_LABEL and label in "".join(words)


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else 0.0
