"""Reads opt-outs in tables of people: which columns say not to mail, and which of their cells are a no."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from domain import opt_out_words as words
from domain.blank_values import is_blank
from domain.suppression import SuppressionReason
from domain.words import fold_words

PRECEDENCE = (SuppressionReason.COMPLAINT, SuppressionReason.UNSUBSCRIBED, SuppressionReason.HARD_BOUNCE)
"""Of several reasons for one address, the first in this order counts."""
MAX_CELL_CHARACTERS = 1_000
"""The beginning of a longer cell is read."""

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_DIGITS = re.compile(r"\d+")
_ZERO = re.compile(r"[ .,:/-]*0[0 .,:/-]*")
_LINK = re.compile(r"(?:https?:|www\.|mailto:)", re.IGNORECASE)
_DATE = re.compile(r"\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}\b")
_SEPARATORS = re.compile(r"[,;|/\n]")


class OptOutKind(StrEnum):
    """How a column says not to mail."""

    FLAG = "flag"
    """A flag, a date or a reason: every cell is a no, except those that deny it, such as `0`, `false` and blank."""
    STATUS = "status"
    """A status or tags: only words such as `unsubscribed` and `bounced` are a no."""
    PERMISSION = "permission"
    """The opposite, such as `Subscribed` or `Allow email`: an explicit `no` is a no."""
    OTHER = "other"
    """The header says nothing about mailing: a yes, a date or the words of a status are a no."""


@dataclass(frozen=True, slots=True)
class OptOutColumn:
    """How a column says not to mail, and the reason of a cell that states none."""

    kind: OptOutKind
    reason: SuppressionReason = SuppressionReason.UNSUBSCRIBED


OTHER_COLUMN = OptOutColumn(OptOutKind.OTHER)


@lru_cache(maxsize=4_096)
def read_header(header: str) -> OptOutColumn:
    """Return how a column with this header says not to mail; of kind OTHER if the header does not say so."""
    spaced = _CAMEL.sub(" ", header) if not header.isupper() else header
    tokens = _DIGITS.sub(" ", fold_words(spaced)).split()
    parts, joined = frozenset(tokens), "".join(tokens)
    is_about_mail = not parts.isdisjoint(words.MAIL) or "email" in joined
    if not parts.isdisjoint(words.OTHER_CHANNELS) and not is_about_mail:
        return OTHER_COLUMN
    if parts.isdisjoint(words.NO_FLAG) and not any(phrase in joined for phrase in words.DENIED_HEADERS):
        if exact := words.EXACT_HEADERS.get(joined.removeprefix("is")):
            return OptOutColumn(OptOutKind.FLAG, exact)
        for reason, stems in words.HEADER_STEMS.items():
            if any(stem in joined for stem in stems) or not parts.isdisjoint(words.HEADER_WORDS[reason]):
                return OptOutColumn(OptOutKind.FLAG, reason)
        if any(joined.removeprefix("is").removeprefix("kontakt") == phrase for phrase in words.PERMISSIONS) or any(
            stem in joined for stem in words.PERMISSION_STEMS
        ):
            return OptOutColumn(OptOutKind.PERMISSION)
    if not parts.isdisjoint(words.STATUS_HEADERS):
        return OptOutColumn(OptOutKind.STATUS)
    return OTHER_COLUMN


def read_cell(cell: str, column: OptOutColumn) -> SuppressionReason | None:
    """Return why the person of a row must not be mailed by a cell of a column, or None if the cell is no opt-out."""
    cell = cell[:MAX_CELL_CHARACTERS].strip()
    text = fold_words(cell)
    if reason := read_status(cell):
        return reason
    if column.kind is OptOutKind.STATUS:
        return None
    if column.kind is OptOutKind.PERMISSION:
        return SuppressionReason.UNSUBSCRIBED if is_refusal(cell) else None
    if is_denial(cell):
        return None
    is_no = column.kind is OptOutKind.FLAG or text in words.YES or cell in words.YES_SIGNS or _DATE.match(cell)
    return column.reason if is_no else None


def read_status(cell: str) -> SuppressionReason | None:
    """Return the reason of a status such as `Unsubscribed`, also as one of several tags, or None for any other text."""
    cell = cell[:MAX_CELL_CHARACTERS]
    parts = [cell, *_SEPARATORS.split(cell)] if _SEPARATORS.search(cell) else [cell]
    return first_reason(reason for part in parts if (reason := words.STATUSES.get(fold_words(part))))


def is_denial(cell: str) -> bool:
    """Return whether a cell of a flag says that the person did not opt out."""
    cell = cell[:MAX_CELL_CHARACTERS].strip()
    if is_blank(cell) or _ZERO.fullmatch(cell) or _LINK.match(cell) or cell in words.NO_SIGNS:
        return True
    text = fold_words(cell)
    first, _, rest = text.partition(" ")
    return text in words.DENIALS or (first in words.NEGATIONS and rest in words.STATUSES)


def is_refusal(cell: str) -> bool:
    """Return whether a cell of a permission is an explicit no."""
    cell = cell[:MAX_CELL_CHARACTERS].strip()
    return fold_words(cell) in words.REFUSALS or cell in words.NO_SIGNS


def is_subscription_status(cell: str) -> bool:
    """Return whether a cell is a status of a mailing list, such as `subscribed` or `unsubscribed`."""
    cell = cell[:MAX_CELL_CHARACTERS]
    return fold_words(cell) in words.SUBSCRIBED or read_status(cell) is not None


def first_reason(reasons: Iterable[SuppressionReason]) -> SuppressionReason | None:
    """Return which of several reasons counts, or None without any."""
    return min(reasons, key=PRECEDENCE.index, default=None)
