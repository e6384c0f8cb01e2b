"""Determines which names a column contains (a person's, a part of it, or a company's) by values and other columns."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from ai.workflows.csv_mapping.columns import Column
from ai.workflows.csv_mapping.state import DecidedBy, Guess, Target
from ai.workflows.csv_mapping.values import HALF, MOSTLY, Kind
from domain.words import fold_words

MIN_SCORE = 0.4
RARELY = 0.3
FEW = 0.2
NAMES = frozenset({Target.FIRST_NAME, Target.LAST_NAME, Target.FULL_NAME})


def guess_name_by_neighbours(column: Column, columns: Sequence[Column], guesses: Mapping[int, Guess]) -> Guess | None:
    """Return the target of a column called `Name` or `Contact`, given the guesses for other columns.

    None if the values must decide.
    """
    taken = {guess.target: columns[p] for p, guess in guesses.items() if columns[p].values or not column.cells}
    first, last = taken.get(Target.FIRST_NAME), taken.get(Target.LAST_NAME)
    if _is_company(column, taken):
        return _make_guess(Target.COMPANY if Target.COMPANY not in taken else Target.CUSTOM, 0.8)
    if column.meaning.unknown_words and _person_score(column) < RARELY:
        return None
    if (first and last) or Target.FULL_NAME in taken:
        return _make_guess(Target.CUSTOM, 0.85)
    part = first or last
    if part is None or _contains(column, part):
        return _make_guess(Target.FULL_NAME, 0.85)
    return _make_guess(Target.LAST_NAME if first else Target.FIRST_NAME, 0.85)


def guess_names_by_values(texts: Sequence[Column], columns: Sequence[Column]) -> dict[int, Guess]:
    """Return the text columns that contain the names of the people whose addresses are in the same rows."""
    candidates = [column for column in texts if _could_be_names(column)]
    whole = find_best_column([c for c in candidates if c.shape.share(Kind.TWO_WORDS) >= MOSTLY], _person_score)
    part = find_best_column([c for c in candidates if c.shape.share(Kind.TWO_WORDS) < MOSTLY], _person_score)
    if whole and not (part and _person_score(part) > _person_score(whole)):
        return {whole.position: _make_guess(Target.FULL_NAME, 0.8, "shape")}
    if not part:
        return {}
    neighbours = [column for column in candidates if abs(column.position - part.position) == 1]
    confirmed = [column for column in neighbours if _is_confirmed(column)]
    # Without similar addresses the neighbours are accepted with a confidence at which the model is asked.
    is_unconfirmed = not confirmed and not any(column.similarity.person for column in columns)
    others = confirmed or (neighbours if is_unconfirmed else [])
    other = max(others, key=lambda column: (_person_score(column), column.position), default=None)
    if other is None:
        is_first = part.shape.share(Kind.GIVEN_NAME) >= FEW or part.similarity.first_word >= MOSTLY
        return {part.position: _make_guess(Target.FIRST_NAME if is_first else Target.LAST_NAME, 0.7, "shape")}
    first, last = sorted((part, other), key=_first_name_score, reverse=True)
    confidence = 0.65 if is_unconfirmed else 0.8
    return {
        first.position: _make_guess(Target.FIRST_NAME, confidence, "shape"),
        last.position: _make_guess(Target.LAST_NAME, confidence, "shape"),
    }


def find_best_column(columns: Iterable[Column], score: Callable[[Column], float]) -> Column | None:
    """Return the column with the highest score, the first of equal ones, or None below the minimum."""
    best = max(columns, key=lambda column: (score(column), -column.position), default=None)
    return best if best and score(best) >= MIN_SCORE else None


def _is_company(column: Column, taken: Mapping[Target, Column]) -> bool:
    similarity, share = column.similarity, column.shape.share(Kind.COMPANY)
    if share >= MIN_SCORE and similarity.person < HALF:
        return True
    if Target.COMPANY in taken or len(taken.keys() & {Target.FIRST_NAME, Target.LAST_NAME}) == 1:
        return False  # companies are often named after families
    if similarity.company >= HALF and similarity.company > similarity.person:
        return True
    # If other columns have the person's name, this one is the company's at the least sign of it.
    has_person = Target.FULL_NAME in taken or {Target.FIRST_NAME, Target.LAST_NAME} <= taken.keys()
    return has_person and max(similarity.company - similarity.person, share) > 0


def _contains(column: Column, part: Column) -> bool:
    """Return whether a column's cells contain the cells of another one, and more."""
    pairs = [
        (fold_words(whole), fold_words(piece))
        for whole, piece in zip(column.cells, part.cells, strict=True)
        if whole and piece
    ]
    return bool(pairs) and sum(p in w and len(w) > len(p) for w, p in pairs) / len(pairs) >= MOSTLY


def _person_score(column: Column) -> float:
    return max(column.similarity.person, column.shape.share(Kind.GIVEN_NAME))


def _is_confirmed(column: Column) -> bool:
    """Return whether given names or addresses, also domains named after a family, confirm a column of names."""
    return max(_person_score(column), column.similarity.company) >= FEW or column.similarity.first_letter >= MOSTLY


def _could_be_names(column: Column) -> bool:
    shape = column.shape
    return shape.share(Kind.NAME) >= MOSTLY and shape.share(Kind.COUNTRY) < FEW and shape.distinct >= HALF


def _first_name_score(column: Column) -> tuple[float, int]:
    """Return the sort key of a column of names by similarity to given names; of equal columns the left one wins."""
    return round(2 * column.shape.share(Kind.GIVEN_NAME) + column.similarity.first_letter, 1), -column.position


def _make_guess(target: Target, confidence: float, decided_by: DecidedBy = "rule") -> Guess:
    return Guess(target=target, confidence=confidence, decided_by=decided_by)
