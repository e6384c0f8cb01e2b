"""Finds the columns that say not to mail people: flags, dates, reasons, permissions and statuses."""

from collections.abc import Callable

from ai.workflows.csv_mapping.columns import Column
from ai.workflows.csv_mapping.headers import Topic
from ai.workflows.csv_mapping.state import Guess, Target
from ai.workflows.csv_mapping.values import HALF, MOSTLY, Kind
from domain.opt_out_words import YES
from domain.opt_outs import OptOutKind, is_denial, is_refusal, is_subscription_status, read_header, read_status
from domain.words import fold_words

_UNCLEAR = frozenset({Topic.UNKNOWN, Topic.UNNAMED, Topic.OTHER})


def guess_opt_out(column: Column) -> Guess | None:
    """Return that a column says not to mail, or None if neither its header nor its values say so."""
    if column.shape.share(Kind.EMAIL) >= MOSTLY or column.shape.share(Kind.URL) >= HALF:
        return None
    confidence = _confidence(read_header(column.header).kind, column)
    return Guess(target=Target.OPT_OUT, confidence=confidence, decided_by="rule") if confidence else None


def _confidence(kind: OptOutKind, column: Column) -> float:
    """Return how sure it is (0 to 1) that the column says not to mail; 0 if nothing says so."""
    names_opt_outs = any(map(read_status, column.values))
    if kind is OptOutKind.FLAG or (kind is OptOutKind.STATUS and names_opt_outs):
        return 0.95
    if kind is OptOutKind.PERMISSION:
        return 0.85 if not column.values or _share(column, _is_answer) >= HALF else 0.0
    if _share(column, is_subscription_status) < HALF:
        return 0.0
    # The samples of a status may have only people who may be mailed.
    if kind is OptOutKind.STATUS:
        return 0.85
    return 0.8 if names_opt_outs and column.meaning.topic in _UNCLEAR else 0.0


def _share(column: Column, is_fitting: Callable[[str], bool]) -> float:
    return sum(map(is_fitting, column.values)) / len(column.values) if column.values else 0.0


def _is_answer(value: str) -> bool:
    return is_refusal(value) or is_denial(value) or fold_words(value) in YES
