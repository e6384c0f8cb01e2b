"""Leaves each target with its best column where several claim it: of several addresses with the business one."""

from collections.abc import Sequence

from ai.workflows.csv_mapping.addresses import is_free_mail
from ai.workflows.csv_mapping.columns import Column
from ai.workflows.csv_mapping.headers import Topic
from ai.workflows.csv_mapping.state import REPEATABLE, SURE, Guess, Target
from ai.workflows.csv_mapping.values import HALF, Kind

ENOUGH_FILL = 0.3
# From so many addresses on it says something that a few of them are repeated: they are colleagues', or a company's.
ENOUGH_ADDRESSES = 8


def resolve_conflicts(columns: Sequence[Column], guesses: Sequence[Guess]) -> list[Guess]:
    """Leave each target that only one column can have with its best column; the others become custom fields."""
    resolved = list(guesses)
    for target in Target:
        rivals = [position for position, guess in enumerate(resolved) if guess.target is target]
        if target in REPEATABLE or not rivals:
            continue
        rivals.remove(max(rivals, key=lambda position: _rank(columns[position], resolved[position])))
        for position in rivals:
            resolved[position] = _as_custom(resolved[position])
    filled = {
        guess.target for column, guess in zip(columns, resolved, strict=True) if column.values or not column.cells
    }
    if {Target.FIRST_NAME, Target.LAST_NAME} <= filled:  # then the full name says nothing new
        is_spare = [guess.target is Target.FULL_NAME and guess.decided_by != "person" for guess in resolved]
        return [_as_custom(guess) if spare else guess for guess, spare in zip(resolved, is_spare, strict=True)]
    return resolved


def _as_custom(guess: Guess) -> Guess:
    confidence = 0.9 if guess.target is Target.EMAIL else 0.8
    return Guess(target=Target.CUSTOM, confidence=confidence, decided_by=guess.decided_by)


def _rank(column: Column, guess: Guess) -> tuple[float, ...]:
    """Return how good a claim is, the weightiest reason first; with equal claims the first column wins."""
    is_persons = guess.decided_by == "person"
    if guess.target is Target.EMAIL:
        return (is_persons, _address_rank(column), -column.position)
    meaning, shape = column.meaning, column.shape
    is_segment = guess.target is Target.SEGMENT
    return (
        is_persons,
        column.fill >= ENOUGH_FILL,
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
    """Return how many rows have an address, weighted by how many are at work rather than at a free mail service."""
    addresses = [value for value in column.values if "@" in value]
    if not addresses:
        return 0.0
    business = sum(not is_free_mail(address) for address in addresses) / len(addresses)
    distinct = len({address.casefold() for address in addresses}) / len(addresses)
    repeated = 1 - distinct if len(addresses) >= ENOUGH_ADDRESSES else 0.0
    hint = column.meaning.is_work - column.meaning.is_secondary
    return round(column.fill * (1 + business + 0.5 * hint) * (1 - 0.6 * repeated), 1)
