"""Compares cells with the addresses in their rows: a person's name is before the @, a company's name after it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ai.workflows.csv_mapping.tables import read_table
from ai.workflows.csv_mapping.values import COMPANY_WORDS
from domain.words import fold_words

MIN_NAME_LETTERS = 3
MIN_DOMAIN_LETTERS = 4
_TABLE = {name: frozenset(words) for name, words in read_table("addresses").items()}
_ADDRESS = re.compile(r"([^@\s,;:<>\"()]+)@([^@\s,;:<>\"()]+)\.[^@\s,;:<>\"()]+")
_NON_LETTERS = re.compile(r"[^a-z]")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


@dataclass(frozen=True, slots=True)
class Similarity:
    """The shares of a column's cells (0 to 1) that name the row's person or company, by the row's addresses."""

    person: float = 0.0
    company: float = 0.0
    first_word: float = 0.0
    """The share of cells with a word that begins an address."""
    first_letter: float = 0.0
    """The share of cells whose first letter begins an address."""


NO_SIMILARITY = Similarity()


@dataclass(frozen=True, slots=True)
class AddressRow:
    """The letters of a row's addresses: local parts, and the domains of business addresses."""

    local_parts: tuple[str, ...]
    domains: tuple[str, ...]


def is_free_mail(address: str) -> bool:
    """Return whether an address is at a free mail service."""
    return address.rsplit("@", 1)[-1].strip(" >;,.").casefold() in _TABLE["free_mail"]


def parse_addresses(cells: Sequence[str]) -> AddressRow:
    """Return the parts of the addresses in a row's cells."""
    addresses = [address for cell in cells for address in _ADDRESS.finditer(cell.casefold())]
    local_parts = [_NON_LETTERS.sub("", fold_words(address[1])) for address in addresses]
    domains = [_NON_LETTERS.sub("", address[2]) for address in addresses if not is_free_mail(address[0])]
    persons = [part for part in local_parts if part not in _TABLE["shared_mailboxes"]]
    return AddressRow(tuple(filter(None, persons)), tuple(filter(None, domains)))


def compute_similarity(cells: Sequence[str], rows: Sequence[AddressRow]) -> Similarity:
    """Return the similarity of a column's cells to the addresses in their rows."""
    pairs = [(_spell_words(cell), row) for cell, row in zip(cells, rows, strict=False) if cell]
    people = [(words, row.local_parts) for words, row in pairs if row.local_parts]
    companies = [(words, row.domains) for words, row in pairs if row.domains]
    return Similarity(
        person=_share([any(word in part for word in words for part in parts) for words, parts in people]),
        company=_share([any(_is_named_by(words, domain) for domain in domains) for words, domains in companies]),
        first_word=_share([any(part.startswith(word) for word in words for part in parts) for words, parts in people]),
        first_letter=_share([any(words and words[0][0] == part[0] for part in parts) for words, parts in people]),
    )


def _spell_words(cell: str) -> list[str]:
    """Return the words of a cell that an address may contain, with both spellings of umlauts."""
    spellings = fold_words(cell).split()
    if not cell.isascii():
        spellings += fold_words(cell.translate(_UMLAUTS)).split()
    return [word for word in spellings if len(word) >= MIN_NAME_LETTERS]


def _is_named_by(words: Sequence[str], domain: str) -> bool:
    """Return whether a domain is named after the words of a company."""
    if any(len(word) >= MIN_DOMAIN_LETTERS and word in domain for word in words if word not in COMPANY_WORDS):
        return True
    return len(domain) >= MIN_DOMAIN_LETTERS and domain in "".join(words)


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else 0.0
