"""What the values of a column look like, whatever its header says."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from ai.workflows.csv_mapping import vocabulary
from ai.workflows.csv_mapping.reading import fold

_EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[A-Za-z]{2,}")
_URL = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_PHONE = re.compile(r"[+(]?\d[\d\s().\-/]{5,}(?:\s*(?:x|ext\.?)\s*\d+)?", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?[\d.,\s]+%?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T].*)?|\d{1,2} \w{3,9} \d{4}")
_ZONE = re.compile(
    r"(?:Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc)/[A-Za-z_/+\-0-9]+|UTC|GMT"
)
_NAME = re.compile(r"[^\W\d_][^\W\d_]*(?:[ '\u2019.\-]+[^\W\d_]+){0,4}\.?")


@dataclass(frozen=True, slots=True)
class Shape:
    """Which share of a column's values (0 to 1) looks like each kind; all 0 for a column without values."""

    email: float = 0
    url: float = 0
    phone: float = 0
    number: float = 0
    date: float = 0
    zone: float = 0
    given_name: float = 0
    full_name: float = 0
    role: float = 0
    company: float = 0
    segment: float = 0
    counting: bool = False

    @property
    def is_plain_text(self) -> bool:
        """Tell whether the values could be names or titles at all."""
        return max(self.email, self.url, self.phone, self.number, self.date, self.zone) < 0.5  # noqa: PLR2004


def shape_of(values: tuple[str, ...]) -> Shape:
    """Return the shape of a column's values, blanks left out."""
    if not values:
        return Shape()
    words = [set(fold(value).split()) for value in values]

    def share(test: Callable[[str], object]) -> float:
        return sum(1 for value in values if test(value)) / len(values)

    def share_of_words(known: frozenset[str]) -> float:
        return sum(1 for found in words if found & known) / len(words)

    return Shape(
        email=share(_EMAIL.fullmatch),
        url=share(_URL.fullmatch),
        phone=share(lambda value: _PHONE.fullmatch(value) and not _DATE.fullmatch(value)),
        number=share(_NUMBER.fullmatch),
        date=share(_DATE.fullmatch),
        zone=share(_ZONE.fullmatch),
        given_name=share(lambda value: " " not in value and fold(value) in vocabulary.GIVEN_NAMES),
        full_name=share(_is_full_name),
        role=share_of_words(vocabulary.ROLE_WORDS),
        company=share_of_words(vocabulary.COMPANY_WORDS),
        segment=share(lambda value: value.casefold() in vocabulary.SEGMENT_VALUES),
        counting=_counts_up(values),
    )


def business_share(values: tuple[str, ...]) -> float:
    """Return which share of the addresses is not at a free mail service."""
    addresses = [value for value in values if _EMAIL.fullmatch(value)]
    business = [a for a in addresses if a.rsplit("@", 1)[1].casefold() not in vocabulary.FREE_MAIL]
    return len(business) / len(addresses) if addresses else 0.0


def _is_full_name(value: str) -> bool:
    words = value.split()
    if not _NAME.fullmatch(value) or not 2 <= len(words) <= 4 or not value[0].isupper():  # noqa: PLR2004
        return False
    return fold(words[0]) in vocabulary.GIVEN_NAMES


def _counts_up(values: tuple[str, ...]) -> bool:
    if len(values) < 3 or not all(value.isdecimal() and len(value) < 12 for value in values):  # noqa: PLR2004
        return False
    numbers = [int(value) for value in values]
    return all(later == earlier + 1 for earlier, later in pairwise(numbers))
