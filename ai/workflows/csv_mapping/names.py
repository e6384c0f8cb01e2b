"""Tells whose name a column holds, or which part of it, by its values and by the columns beside it."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from ai.workflows.csv_mapping.columns import Column
from ai.workflows.csv_mapping.state import DecidedBy, Guess, Target
from ai.workflows.csv_mapping.values import HALF, MOSTLY, Kind
from domain.words import fold_words

OFTEN = 0.4
RARELY = 0.3
FEW = 0.2
NAMES = frozenset({Target.FIRST_NAME, Target.LAST_NAME, Target.FULL_NAME})


def name_by_neighbours(column: Column, columns: Sequence[Column], guesses: Mapping[int, Guess]) -> Guess | None:
    """Return whose name a column called `Name` or `Contact` holds, given what other columns are.

    None when the values must say.
    """
    taken = {guess.target: columns[p] for p, guess in guesses.items() if columns[p].values or not column.cells}
    first, last = taken.get(Target.FIRST_NAME), taken.get(Target.LAST_NAME)
    if _is_company(column, taken):
        return _guess(Target.COMPANY if Target.COMPANY not in taken else Target.CUSTOM, 0.8)
    if column.meaning.unknown_words and _person_score(column) < RARELY:
        return None
    if (first and last) or Target.FULL_NAME in taken:
        return _guess(Target.CUSTOM, 0.85)
    part = first or last
    if part is None or _contains(column, part):
        return _guess(Target.FULL_NAME, 0.85)
    return _guess(Target.LAST_NAME if first else Target.FIRST_NAME, 0.85)


def names_by_values(texts: Sequence[Column], columns: Sequence[Column]) -> dict[int, Guess]:
    """Return which text columns hold the names of the people whose addresses stand in the same rows of a file."""
    candidates = [column for column in texts if _could_be_names(column)]
    whole = best_column([c for c in candidates if c.shape.share(Kind.TWO_WORDS) >= MOSTLY], _person_score)
    part = best_column([c for c in candidates if c.shape.share(Kind.TWO_WORDS) < MOSTLY], _person_score)
    if whole and not (part and _person_score(part) > _person_score(whole)):
        return {whole.position: _guess(Target.FULL_NAME, 0.8, "shape")}
    if not part:
        return {}
    neighbours = [column for column in candidates if abs(column.position - part.position) == 1]
    confirmed = [column for column in neighbours if _is_confirmed(column)]
    # Where no address says anything, neighbours are believed, and the model is asked.
    is_unconfirmed = not confirmed and not any(column.similarity.person for column in columns)
    others = confirmed or (neighbours if is_unconfirmed else [])
    other = max(others, key=lambda column: (_person_score(column), column.position), default=None)
    if other is None:
        is_first = part.shape.share(Kind.GIVEN_NAME) >= FEW or part.similarity.first_word >= MOSTLY
        return {part.position: _guess(Target.FIRST_NAME if is_first else Target.LAST_NAME, 0.7, "shape")}
    first, last = sorted((part, other), key=_first_name_score, reverse=True)
    confidence = 0.65 if is_unconfirmed else 0.8
    return {
        first.position: _guess(Target.FIRST_NAME, confidence, "shape"),
        last.position: _guess(Target.LAST_NAME, confidence, "shape"),
    }


def best_column(columns: Iterable[Column], score: Callable[[Column], float]) -> Column | None:
    """Return the column with the highest score, the first one of equals, if it is high enough."""
    best = max(columns, key=lambda column: (score(column), -column.position), default=None)
    return best if best and score(best) >= OFTEN else None


def _is_company(column: Column, taken: Mapping[Target, Column]) -> bool:
    similarity, share = column.similarity, column.shape.share(Kind.COMPANY)
    if share >= OFTEN and similarity.person < HALF:
        return True
    if Target.COMPANY in taken or len(taken.keys() & {Target.FIRST_NAME, Target.LAST_NAME}) == 1:
        return False  # families give companies their names
    if similarity.company >= HALF and similarity.company > similarity.person:
        return True
    # Beside a person's name, what else is called a name belongs to the company, if there is any sign of it.
    has_person = Target.FULL_NAME in taken or {Target.FIRST_NAME, Target.LAST_NAME} <= taken.keys()
    return has_person and max(similarity.company - similarity.person, share) > 0


def _contains(column: Column, part: Column) -> bool:
    """Tell whether a column's cells hold what another one's hold, and more."""
    pairs = [
        (fold_words(whole), fold_words(piece))
        for whole, piece in zip(column.cells, part.cells, strict=True)
        if whole and piece
    ]
    return bool(pairs) and sum(p in w and len(w) > len(p) for w, p in pairs) / len(pairs) >= MOSTLY


def _person_score(column: Column) -> float:
    return max(column.similarity.person, column.shape.share(Kind.GIVEN_NAME))


def _is_confirmed(column: Column) -> bool:
    """Tell whether given names or the addresses, a family's domain among them, show that a column holds names."""
    return max(_person_score(column), column.similarity.company) >= FEW or column.similarity.first_letter >= MOSTLY


def _could_be_names(column: Column) -> bool:
    shape = column.shape
    return shape.share(Kind.NAME) >= MOSTLY and shape.share(Kind.COUNTRY) < FEW and shape.distinct >= HALF


def _first_name_score(column: Column) -> tuple[float, int]:
    """Return how much a column of names looks like given names; with no difference the left one is."""
    return round(2 * column.shape.share(Kind.GIVEN_NAME) + column.similarity.first_letter, 1), -column.position


def _guess(target: Target, confidence: float, decided_by: DecidedBy = "rule") -> Guess:
    return Guess(target=target, confidence=confidence, decided_by=decided_by)
