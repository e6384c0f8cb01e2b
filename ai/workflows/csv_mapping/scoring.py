"""Decides what columns are: by the rules in `words/rules.toml`, then by what stands beside them."""

from collections.abc import Mapping, Sequence

from ai.workflows.csv_mapping.columns import Column
from ai.workflows.csv_mapping.conflicts import resolve_conflicts
from ai.workflows.csv_mapping.headers import Topic
from ai.workflows.csv_mapping.names import NAMES, best_column, name_by_neighbours, names_by_values
from ai.workflows.csv_mapping.rules import Stage, decide
from ai.workflows.csv_mapping.state import Guess, Target
from ai.workflows.csv_mapping.values import HALF, Kind, kinds_of

NEARLY_ALL = 0.8
SHOWN = 3
_BARE_NAMES = frozenset({"name", "naam", "nom"})

# What the values of a target look like, the most telling kind first.
_TELLING: Mapping[Target, tuple[Kind, ...]] = {
    Target.EMAIL: (Kind.EMAIL,),
    Target.TIMEZONE: (Kind.TIMEZONE,),
    Target.SEGMENT: (Kind.SIZE_CLASS, Kind.SIZE, Kind.SIZE_RANGE, Kind.COUNT),
    Target.ROLE: (Kind.ROLE,),
    Target.COMPANY: (Kind.COMPANY,),
    Target.FIRST_NAME: (Kind.GIVEN_NAME, Kind.NAME),
    Target.LAST_NAME: (Kind.NAME,),
    Target.FULL_NAME: (Kind.GIVEN_NAME, Kind.TWO_WORDS),
}


def guess_columns(columns: Sequence[Column], settled: Mapping[int, Guess]) -> list[Guess]:
    """Return a guess per column, in order; each single target goes to one column at most, what is settled stands."""
    guesses = dict(settled)
    guesses |= _by_rules("header", columns, guesses)
    guesses |= _whole_names(columns, guesses)
    for column in sorted(_open(columns, guesses), key=lambda column: column.meaning.words <= _BARE_NAMES):
        is_name = column.meaning.topic is Topic.NAME and column.shape.is_text
        if is_name and (guess := name_by_neighbours(column, columns, guesses)):
            guesses[column.position] = guess
    guesses |= _by_rules("values", columns, guesses)
    guesses |= _texts(columns, guesses)
    guesses |= _by_rules("rest", columns, guesses)
    guesses |= _last_resort(columns, guesses)
    return resolve_conflicts(columns, [guesses[position] for position in range(len(columns))])


def convincing_values(column: Column, target: Target) -> tuple[str, ...]:
    """Return up to three different values: of the kind that decided, or the first ones where no kind did."""
    main = column.shape.main_kind
    for kind in _TELLING.get(target, (main,) if main else ()):
        if values := [value for value in dict.fromkeys(column.values) if kind in kinds_of(value)]:
            return tuple(values[:SHOWN])
    return tuple(dict.fromkeys(column.values))[:SHOWN]


def _open(columns: Sequence[Column], guesses: Mapping[int, Guess]) -> list[Column]:
    return [column for column in columns if column.position not in guesses]


def _by_rules(stage: Stage, columns: Sequence[Column], guesses: Mapping[int, Guess]) -> dict[int, Guess]:
    """Return what open columns are by the rules of a stage; those for which no rule holds are left out."""
    taken = {guess.target for guess in guesses.values()}
    return {column.position: guess for column in _open(columns, guesses) if (guess := decide(stage, column, taken))}


def _whole_names(columns: Sequence[Column], guesses: Mapping[int, Guess]) -> dict[int, Guess]:
    """Return first names that are whole names, in a file where no column holds last names."""
    held = {guess.target for position, guess in guesses.items() if columns[position].values}
    if held & {Target.LAST_NAME, Target.FULL_NAME} or any(c.meaning.topic is Topic.NAME for c in columns):
        return {}
    return {
        position: Guess(target=Target.FULL_NAME, confidence=0.8, decided_by="rule")
        for position, guess in guesses.items()
        if guess.target is Target.FIRST_NAME
        and guess.decided_by != "person"
        and columns[position].shape.share(Kind.TWO_WORDS) >= NEARLY_ALL
    }


def _texts(columns: Sequence[Column], guesses: Mapping[int, Guess]) -> dict[int, Guess]:
    """Return the role, the company and the names among columns that no rule decides."""
    taken = {guess.target for guess in guesses.values()}
    texts = [
        column
        for column in _open(columns, guesses)
        if column.values and column.shape.is_text and column.meaning.topic is not Topic.OTHER
    ]
    decided: dict[int, Guess] = {}
    for target, score in ((Target.ROLE, _role_score), (Target.COMPANY, _company_score)):
        if target not in taken and (best := best_column(texts, score)):
            texts.remove(best)
            confidence = 0.75 if score(best) < NEARLY_ALL else 0.85
            decided[best.position] = Guess(target=target, confidence=confidence, decided_by="shape")
    return decided if taken & NAMES else decided | names_by_values(texts, columns)


def _role_score(column: Column) -> float:
    return column.shape.share(Kind.ROLE)


def _company_score(column: Column) -> float:
    similarity, share = column.similarity, column.shape.share(Kind.COMPANY)
    # A family's name may stand in the domain too; then the words that only companies bear decide.
    return max(share, similarity.company) + share / 10 if similarity.company >= similarity.person else 0.0


def _last_resort(columns: Sequence[Column], guesses: Mapping[int, Guess]) -> dict[int, Guess]:
    """Take addresses that are few, or seem to be a colleague's, unsure, where the file has no others."""
    if any(guess.target is Target.EMAIL for guess in guesses.values()):
        return {}
    return {
        column.position: Guess(target=Target.EMAIL, confidence=0.5, decided_by="rule")
        for column in columns
        if column.shape.share(Kind.EMAIL) > (0 if column.meaning.topic is Topic.EMAIL else HALF)
        and guesses[column.position].decided_by != "person"
    }
