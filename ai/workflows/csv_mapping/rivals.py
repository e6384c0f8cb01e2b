"""Leaves each single target with its best column: of several addresses the business one."""

from collections.abc import Sequence

from ai.workflows.csv_mapping.columns import Column
from ai.workflows.csv_mapping.header_words import Topic
from ai.workflows.csv_mapping.shapes import HALF, Kind, is_free_mail
from ai.workflows.csv_mapping.state import REPEATABLE, SURE, Guess, Target

ENOUGH_FILL = 0.3
# From so many addresses on it tells that a few of them come again and again: colleagues', or one of a company's.
TELLING_NUMBER = 8


def settle(columns: Sequence[Column], guesses: Sequence[Guess]) -> list[Guess]:
    """Leave each single target with its best column; the others become custom fields."""
    settled = list(guesses)
    for target in Target:
        rivals = [position for position, guess in enumerate(settled) if guess.target is target]
        if target in REPEATABLE or not rivals:
            continue
        rivals.remove(max(rivals, key=lambda position: _claim(columns[position], settled[position])))
        for position in rivals:
            settled[position] = _spared(settled[position])
    return _without_doubled_names(columns, settled)


def _spared(guess: Guess) -> Guess:
    confidence = 0.9 if guess.target is Target.EMAIL else 0.8
    return Guess(target=Target.CUSTOM, confidence=confidence, decided_by=guess.decided_by)


def _without_doubled_names(columns: Sequence[Column], guesses: list[Guess]) -> list[Guess]:
    """Keep a full name beside first and last name only as a custom field."""
    filled = {guess.target for column, guess in zip(columns, guesses, strict=True) if column.values or not column.cells}
    if not {Target.FIRST_NAME, Target.LAST_NAME} <= filled:
        return guesses
    return [
        _spared(guess) if guess.target is Target.FULL_NAME and guess.decided_by != "person" else guess
        for column, guess in zip(columns, guesses, strict=True)
    ]


def _claim(column: Column, guess: Guess) -> tuple[float, ...]:
    """Return how good a claim is, the weightiest reason first; with equal claims the first column wins."""
    is_persons = float(guess.decided_by == "person")
    if guess.target is Target.EMAIL:
        return (is_persons, _worth(column), -column.position)
    meaning, shape = column.meaning, column.shape
    is_words = guess.target is Target.SEGMENT and shape.share(Kind.SIZE_CLASS, Kind.SIZE) >= HALF
    is_counted = guess.target is Target.SEGMENT and shape.share(Kind.COUNT) >= HALF
    return (
        is_persons,
        column.fill >= ENOUGH_FILL,
        is_words,
        is_counted,
        guess.confidence >= SURE,
        not meaning.is_lesser,
        meaning.topic not in {Topic.UNKNOWN, Topic.UNNAMED, Topic.SPARE},
        meaning.is_plain and not meaning.strange,
        round(shape.share(Kind.ROLE) * column.fill, 1) if guess.target is Target.ROLE else 0.0,
        -shape.share(Kind.SIZE_RANGE),
        round(column.fill, 1),
        -column.position,
    )


def _worth(column: Column) -> float:
    """Return what an address column is worth: how many rows have one, at work rather than at a free mail service."""
    addresses = [value for value in column.values if "@" in value]
    if not addresses:
        return 0.0
    business = sum(not is_free_mail(address) for address in addresses) / len(addresses)
    distinct = len({address.casefold() for address in addresses}) / len(addresses)
    repeated = 1 - distinct if len(addresses) >= TELLING_NUMBER else 0.0
    hint = column.meaning.is_business - column.meaning.is_lesser
    return round(column.fill * (1 + business + 0.5 * hint) * (1 - 0.6 * repeated), 1)
