"""Resolves conflicts: if several columns have the same target, the best one keeps it."""

from collections.abc import Sequence

from ai.workflows.csv_mapping.addresses import is_free_mail
from ai.workflows.csv_mapping.columns import Column
from ai.workflows.csv_mapping.headers import Topic
from ai.workflows.csv_mapping.state import REPEATABLE, SURE, Guess, Target
from ai.workflows.csv_mapping.values import HALF, Kind

MIN_FILL = 0.3
# With at least this many addresses, repeated ones count against a column: they belong to colleagues or to a company.
MIN_REPEATED_ADDRESSES = 8


def resolve_conflicts(columns: Sequence[Column], guesses: Sequence[Guess]) -> list[Guess]:
    """Keep each target that only one column can have in its best column; the others become custom fields."""
    resolved = list(guesses)
    for target in Target:
        positions = [position for position, guess in enumerate(resolved) if guess.target is target]
        if target in REPEATABLE or not positions:
            continue
        positions.remove(max(positions, key=lambda position: _rank(columns[position], resolved[position])))
        for position in positions:
            resolved[position] = _make_custom(resolved[position])
    filled = {
        guess.target for column, guess in zip(columns, resolved, strict=True) if column.values or not column.cells
    }
    if {Target.FIRST_NAME, Target.LAST_NAME} <= filled:  # the full name is then redundant
        are_redundant = [guess.target is Target.FULL_NAME and guess.decided_by != "person" for guess in resolved]
        return [
            _make_custom(guess) if is_redundant else guess
            for guess, is_redundant in zip(resolved, are_redundant, strict=True)
        ]
    return resolved


def _make_custom(guess: Guess) -> Guess:
    confidence = 0.9 if guess.target is Target.EMAIL else 0.8
    return Guess(target=Target.CUSTOM, confidence=confidence, decided_by=guess.decided_by)


def _rank(column: Column, guess: Guess) -> tuple[float, ...]:
    """Return the sort key of a column for its target, most important first; of equal columns the first one wins."""
    is_by_person = guess.decided_by == "person"
    if guess.target is Target.EMAIL:
        return (is_by_person, _address_rank(column), -column.position)
    meaning, shape = column.meaning, column.shape
    is_segment = guess.target is Target.SEGMENT
    return (
        is_by_person,
        column.fill >= MIN_FILL,
        is_segment and shape.share(Kind.SIZE_CLASS, Kind.SIZE) >= HALF,
        is_segment and shape.share(Kind.COUNT) >= HALF,
        guess.confidence >= SURE,
        not meaning.is_secondary,
        meaning.topic not in {Topic.UNKNOWN, Topic.UNNAMED, Topic.OTHER},
        meaning.has_one_topic and not meaning.unknown_words,
        round(shape.share(Kind.ROLE) * column.fill, 1) if guess.target is Target.ROLE else 0.0,
        -shape.share(Kind.SIZE_RANGE),
        round(column.fill, 1),
        -column.position,
    )


def _address_rank(column: Column) -> float:
    """Return the share of rows with an address, weighted by the share of business addresses."""
    addresses = [value for value in column.values if "@" in value]
    if not addresses:
        return 0.0
    business = sum(not is_free_mail(address) for address in addresses) / len(addresses)
    distinct = len({address.casefold() for address in addresses}) / len(addresses)
    repeated = 1 - distinct if len(addresses) >= MIN_REPEATED_ADDRESSES else 0.0
    hint = column.meaning.is_work - column.meaning.is_secondary
    return round(column.fill * (1 + business + 0.5 * hint) * (1 - 0.6 * repeated), 1)
