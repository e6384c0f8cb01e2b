"""Reads `Name`, `Nom` or `Contact` by what stands beside it: a person's name, a part of it, or a company's."""

from collections.abc import Mapping, Sequence

from ai.workflows.csv_mapping.columns import Column
from ai.workflows.csv_mapping.likeness import Likeness
from ai.workflows.csv_mapping.shapes import HALF, MOSTLY, Kind
from ai.workflows.csv_mapping.state import Guess, Target
from ai.workflows.csv_mapping.words import fold

OFTEN = 0.4
RARELY = 0.3


def name_by_neighbours(
    column: Column, columns: Sequence[Column], guesses: Mapping[int, Guess], likeness: Likeness
) -> Guess | None:
    """Return whose name it is, given what other columns are taken for; None when the values must say."""
    taken = {guess.target: columns[p] for p, guess in guesses.items() if columns[p].values or not column.cells}
    first, last = taken.get(Target.FIRST_NAME), taken.get(Target.LAST_NAME)
    if _is_company(column, likeness, taken):
        return _guess(Target.COMPANY if Target.COMPANY not in taken else Target.CUSTOM, 0.8)
    if column.meaning.strange and max(likeness.person, column.shape.share(Kind.GIVEN)) < RARELY:
        return None
    if (first and last) or Target.FULL_NAME in taken:
        return _guess(Target.CUSTOM, 0.85)
    part = first or last
    if part is None or _contains(column, part):
        return _guess(Target.FULL_NAME, 0.85)
    return _guess(Target.LAST_NAME if first else Target.FIRST_NAME, 0.85)


def _is_company(column: Column, likeness: Likeness, taken: Mapping[Target, Column]) -> bool:
    shape = column.shape
    if shape.share(Kind.COMPANY) >= OFTEN and likeness.person < HALF:
        return True
    if Target.COMPANY in taken or len(taken.keys() & {Target.FIRST_NAME, Target.LAST_NAME}) == 1:
        return False  # families give companies their names
    if likeness.company >= HALF and likeness.company > likeness.person:
        return True
    # Beside a person's name, what else is called a name belongs to the company, if there is any sign of it.
    has_person = Target.FULL_NAME in taken or {Target.FIRST_NAME, Target.LAST_NAME} <= taken.keys()
    signs = max(likeness.company - likeness.person, shape.share(Kind.COMPANY))
    return has_person and signs > 0


def _contains(column: Column, part: Column) -> bool:
    """Tell whether a column's cells hold what another one's hold, and more."""
    pairs = [
        (fold(whole), fold(piece)) for whole, piece in zip(column.cells, part.cells, strict=True) if whole and piece
    ]
    return bool(pairs) and sum(p in w and len(w) > len(p) for w, p in pairs) / len(pairs) >= MOSTLY


def _guess(target: Target, confidence: float) -> Guess:
    return Guess(target=target, confidence=confidence, decided_by="rule")
