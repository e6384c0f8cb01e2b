"""Decides what columns are from their headers and the shape of their values."""

from collections.abc import Sequence

from ai.workflows.csv_mapping import vocabulary
from ai.workflows.csv_mapping.shapes import Shape, business_share, shape_of
from ai.workflows.csv_mapping.state import REPEATABLE, Column, Guess, Target

SURE = 0.7  # below it the model is asked
MOSTLY = 0.6
OFTEN = 0.4


def guess_columns(columns: Sequence[Column]) -> list[Guess]:
    """Return a guess per column, in order; each single target goes to one column at most."""
    shapes = [shape_of(column.values) for column in columns]
    named = [_by_header(column, shape) for column, shape in zip(columns, shapes, strict=True)]
    taken = {guess.target for guess in named if guess and guess.confidence >= SURE}
    guesses = []
    for column, shape, guess in zip(columns, shapes, named, strict=True):
        chosen = guess or _by_ambiguous_name(column, shape, taken) or _by_shape(shape, taken) or _spare(column, shape)
        guesses.append(chosen)
    return settle(columns, guesses)


def settle(columns: Sequence[Column], guesses: Sequence[Guess]) -> list[Guess]:
    """Leave each single target with its best column (for email: the business one); the others become custom fields."""
    settled = list(guesses)
    for target in Target:
        rivals = [position for position, guess in enumerate(settled) if guess.target is target]
        if target in REPEATABLE or len(rivals) < 2:  # noqa: PLR2004 - one claim needs no decision
            continue
        best = max(rivals, key=lambda position: _claim(columns[position], settled[position]))
        for position in rivals:
            if position != best:
                kept = 0.9 if target is Target.EMAIL else 0.75
                settled[position] = Guess(
                    target=Target.CUSTOM, confidence=kept, decided_by=settled[position].decided_by
                )
    return settled


def _claim(column: Column, guess: Guess) -> tuple[float, float, int]:
    """Return how good a claim is; with equal claims the first column wins."""
    if guess.target is not Target.EMAIL or guess.decided_by == "person":
        return (2.0 * (guess.decided_by == "person"), round(guess.confidence + column.fill / 10, 2), -column.position)
    words = set(column.words.split())
    hint = bool(words & vocabulary.BUSINESS_WORDS) - bool(words & vocabulary.PRIVATE_WORDS)
    worth = 1 + business_share(column.values) + 0.5 * hint
    return (0.0, round(max(column.fill, 0.01) * worth, 1), -column.position)


def _by_header(column: Column, shape: Shape) -> Guess | None:
    for words in _readings(column.words):
        if words in vocabulary.SPARE:
            # An address column is found even under a header that speaks of something else.
            return None if shape.email >= MOSTLY else _custom(0.95)
        for target, headers in vocabulary.HEADERS.items():
            if words in headers:
                return _confirmed(target, column, shape)
    return None


def _readings(words: str) -> list[str]:
    """Return the header as it is, then without words that only say whose it is."""
    bare = " ".join(word for word in words.split() if word not in vocabulary.QUALIFIERS)
    return [words, bare] if bare and bare != words else [words]


def _confirmed(target: Target, column: Column, shape: Shape) -> Guess | None:
    """Weigh a header against its values; where they contradict each other the values decide."""
    if not column.values:
        return Guess(target=target, confidence=0.8, decided_by="rule")
    if target is Target.EMAIL:
        fits = shape.email >= MOSTLY
    elif target is Target.TIMEZONE:
        fits = shape.email < MOSTLY and shape.url < MOSTLY
    else:
        fits = shape.is_plain_text
    return Guess(target=target, confidence=0.97, decided_by="rule") if fits else None


def _by_ambiguous_name(column: Column, shape: Shape, taken: set[Target]) -> Guess | None:
    """Read `Name`, `Nom` or `Nombre` by what stands beside it."""
    if not {column.words, *_readings(column.words)} & vocabulary.AMBIGUOUS_NAMES or not shape.is_plain_text:
        return None
    target = Target.FULL_NAME
    if Target.FIRST_NAME in taken and Target.LAST_NAME not in taken:
        target = Target.LAST_NAME
    elif Target.LAST_NAME in taken and Target.FIRST_NAME not in taken:
        target = Target.FIRST_NAME
    elif {Target.FIRST_NAME, Target.LAST_NAME} <= taken:
        return _company_or_custom(shape, taken)
    elif shape.company >= OFTEN and Target.COMPANY not in taken:
        return Guess(target=Target.COMPANY, confidence=0.75, decided_by="shape")
    return Guess(target=target, confidence=0.85, decided_by="rule")


def _company_or_custom(shape: Shape, taken: set[Target]) -> Guess:
    if Target.COMPANY not in taken and shape.company > 0:
        return Guess(target=Target.COMPANY, confidence=0.75, decided_by="shape")
    return _custom(0.6)


def _by_shape(shape: Shape, taken: set[Target]) -> Guess | None:
    found = [
        (Target.EMAIL, shape.email >= MOSTLY, 0.9),
        (Target.TIMEZONE, shape.zone >= MOSTLY, 0.9),
        (Target.SEGMENT, shape.segment >= MOSTLY, 0.85),
        (Target.ROLE, shape.role >= MOSTLY and shape.is_plain_text, 0.75),
        (Target.FULL_NAME, shape.full_name >= OFTEN, 0.75),
        (Target.FIRST_NAME, shape.given_name >= OFTEN, 0.75),
        (Target.COMPANY, shape.company >= OFTEN and shape.is_plain_text, 0.7),
    ]
    for target, fits, confidence in found:
        if fits and (target not in taken or target is Target.EMAIL):
            return Guess(target=target, confidence=confidence, decided_by="shape")
    return None


def _spare(column: Column, shape: Shape) -> Guess:
    if not column.values:
        return Guess(target=Target.IGNORE, confidence=0.95, decided_by="shape")
    if shape.counting and (not column.words or column.words in vocabulary.COUNTERS or column.position == 0):
        return Guess(target=Target.IGNORE, confidence=0.95, decided_by="shape")
    if max(shape.url, shape.phone, shape.number, shape.date) >= MOSTLY:
        return Guess(target=Target.CUSTOM, confidence=0.9, decided_by="shape")
    return _custom(0.55)


def _custom(confidence: float) -> Guess:
    return Guess(target=Target.CUSTOM, confidence=confidence, decided_by="rule")
