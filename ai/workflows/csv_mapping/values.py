"""Finds out what columns hold whose headers do not say it: by their values, and by the addresses beside them."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from ai.workflows.csv_mapping.columns import Column
from ai.workflows.csv_mapping.header_words import Topic
from ai.workflows.csv_mapping.likeness import Likeness
from ai.workflows.csv_mapping.shapes import HALF, MOSTLY, Kind
from ai.workflows.csv_mapping.state import Guess, Target

OFTEN = 0.4
FEW = 0.2
NEARLY_ALL = 0.8
OPEN_TEXT = frozenset({Target.COMPANY, Target.ROLE, Target.FIRST_NAME, Target.LAST_NAME})
_NAMES = frozenset({Target.FIRST_NAME, Target.LAST_NAME, Target.FULL_NAME})

Found = dict[int, Guess]


def by_values(columns: Sequence[Column], guesses: Mapping[int, Guess], likenesses: Sequence[Likeness]) -> Found:
    """Return guesses for columns that have none yet; those that no value tells anything of are left out."""
    found: Found = {}
    for column in columns:
        if column.position not in guesses and (guess := _by_kind(column)):
            found[column.position] = guess
    taken = {guess.target for guess in [*guesses.values(), *found.values()]}
    texts = [c for c in columns if c.position not in guesses and c.position not in found and _is_open(c)]
    for target, score in _scores(likenesses).items():
        if target not in taken and (best := _best(texts, score)):
            texts.remove(best)
            found[best.position] = _shape(target, 0.75 if score(best) < NEARLY_ALL else 0.85)
    if not taken & _NAMES:
        found |= _names(texts, likenesses)
    return found


def _by_kind(column: Column) -> Guess | None:
    """Return what the values are by themselves."""
    shape = column.shape
    if shape.share(Kind.EMAIL) >= MOSTLY:
        return _shape(Target.EMAIL, 0.9)
    if shape.share(Kind.ZONE) >= MOSTLY:
        return _shape(Target.TIMEZONE, 0.9)
    classes = shape.share(Kind.SIZE_CLASS)
    if classes >= MOSTLY or (classes >= FEW and classes + shape.share(Kind.SIZE) >= MOSTLY):
        return _shape(Target.SEGMENT, 0.85)
    is_said = column.meaning.topic in {Topic.UNKNOWN, Topic.UNNAMED}
    if is_said and shape.share(Kind.SIZE_RANGE) >= MOSTLY:
        return _shape(Target.SEGMENT, 0.8)
    return None


def _is_open(column: Column) -> bool:
    """Tell whether a column's header leaves room for a name, a title or a company."""
    return column.shape.is_text and column.meaning.topic is not Topic.SPARE and bool(column.values)


def _scores(likenesses: Sequence[Likeness]) -> Mapping[Target, Callable[[Column], float]]:
    def company(column: Column) -> float:
        likeness, share = likenesses[column.position], column.shape.share(Kind.COMPANY)
        # A family's name may stand in the domain too; then the words that only companies bear decide.
        return max(share, likeness.company) + share / 10 if likeness.company >= likeness.person else 0.0

    return {Target.ROLE: lambda column: column.shape.share(Kind.ROLE), Target.COMPANY: company}


def _best(columns: Iterable[Column], score: Callable[[Column], float]) -> Column | None:
    best = max(columns, key=lambda column: (score(column), -column.position), default=None)
    return best if best and score(best) >= OFTEN else None


def _names(texts: Sequence[Column], likenesses: Sequence[Likeness]) -> Found:
    """Return which columns hold the names of the people whose addresses stand in the same rows."""
    named = [column for column in texts if _could_be_names(column)]

    def score(column: Column) -> float:
        return max(likenesses[column.position].person, column.shape.share(Kind.GIVEN))

    whole = _best([column for column in named if column.shape.share(Kind.TWO_WORDS) >= MOSTLY], score)
    single = _best([column for column in named if column.shape.share(Kind.TWO_WORDS) < MOSTLY], score)
    if whole and not (single and score(single) > score(whole)):
        return {whole.position: _shape(Target.FULL_NAME, 0.8)}
    if not single:
        return {}
    beside = [c for c in named if abs(c.position - single.position) == 1]
    told = [c for c in beside if _is_told(c, likenesses[c.position])]
    # Where no address tells anything, neighbours are taken on trust, and the model is asked.
    trusted = not told and not any(likeness.person for likeness in likenesses)
    other = max(told or (beside if trusted else []), key=lambda c: (score(c), c.position), default=None)
    if other is None:
        is_first = single.shape.share(Kind.GIVEN) >= FEW or likenesses[single.position].begins >= MOSTLY
        return {single.position: _shape(Target.FIRST_NAME if is_first else Target.LAST_NAME, 0.7)}
    first, last = sorted((single, other), key=lambda c: _firstness(c, likenesses[c.position]), reverse=True)
    sure = 0.65 if trusted else 0.8
    return {first.position: _shape(Target.FIRST_NAME, sure), last.position: _shape(Target.LAST_NAME, sure)}


def _is_told(column: Column, likeness: Likeness) -> bool:
    """Tell whether given names or the addresses, a family's domain among them, show that a column holds names."""
    return max(column.shape.share(Kind.GIVEN), likeness.person, likeness.company) >= FEW or likeness.initial >= MOSTLY


def _could_be_names(column: Column) -> bool:
    shape = column.shape
    return shape.share(Kind.NAME) >= MOSTLY and shape.share(Kind.COUNTRY) < FEW and shape.distinct >= HALF


def _firstness(column: Column, likeness: Likeness) -> tuple[float, int]:
    """Return how much a column of names looks like given names; with no difference the left one is."""
    return round(2 * column.shape.share(Kind.GIVEN) + likeness.initial, 1), -column.position


def _shape(target: Target, confidence: float) -> Guess:
    return Guess(target=target, confidence=confidence, decided_by="shape")
