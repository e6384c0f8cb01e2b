"""Guesses the targets of columns, by the rules in `words/rules.toml` and then by the other columns."""

from collections.abc import Mapping, Sequence

from ai.workflows.csv_mapping.columns import Column
from ai.workflows.csv_mapping.conflicts import resolve_conflicts
from ai.workflows.csv_mapping.headers import Topic
from ai.workflows.csv_mapping.names import NAMES, find_best_column, guess_name_by_neighbours, guess_names_by_values
from ai.workflows.csv_mapping.opt_outs import guess_opt_out
from ai.workflows.csv_mapping.rules import Stage, decide
from ai.workflows.csv_mapping.state import Guess, Target
from ai.workflows.csv_mapping.values import HALF, Kind, classify_value

NEARLY_ALL = 0.8
MAX_SAMPLES = 3
_BARE_NAMES = frozenset({"name", "naam", "nom"})

# The kinds of values of a target, the most specific kind first.
_KINDS_BY_TARGET: Mapping[Target, tuple[Kind, ...]] = {
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
    """Return a guess per column, in order. Targets are unique, except REPEATABLE; `settled` guesses are kept."""
    guesses = dict(settled)
    # First, because no other meaning of a column matters as much.
    guesses |= {c.position: guess for c in _undecided(columns, guesses) if (guess := guess_opt_out(c))}
    guesses |= _guess_by_rules("header", columns, guesses)
    guesses |= _guess_whole_names(columns, guesses)
    for column in sorted(_undecided(columns, guesses), key=lambda column: column.meaning.words <= _BARE_NAMES):
        is_name = column.meaning.topic is Topic.NAME and column.shape.is_text
        if is_name and (guess := guess_name_by_neighbours(column, columns, guesses)):
            guesses[column.position] = guess
    guesses |= _guess_by_rules("values", columns, guesses)
    guesses |= _guess_texts(columns, guesses)
    guesses |= _guess_by_rules("rest", columns, guesses)
    guesses |= _guess_emails(columns, guesses)
    return resolve_conflicts(columns, [guesses[position] for position in range(len(columns))])


def find_samples(column: Column, target: Target) -> tuple[str, ...]:
    """Return up to three different values of the kind that decided, or the first values if no kind did."""
    main = column.shape.main_kind
    for kind in _KINDS_BY_TARGET.get(target, (main,) if main else ()):
        if values := [value for value in dict.fromkeys(column.values) if kind in classify_value(value)]:
            return tuple(values[:MAX_SAMPLES])
    return tuple(dict.fromkeys(column.values))[:MAX_SAMPLES]


def _undecided(columns: Sequence[Column], guesses: Mapping[int, Guess]) -> list[Column]:
    return [column for column in columns if column.position not in guesses]


def _guess_by_rules(stage: Stage, columns: Sequence[Column], guesses: Mapping[int, Guess]) -> dict[int, Guess]:
    """Return the guesses for undecided columns by the rules of a stage, without columns for which no rule holds."""
    taken_targets = {guess.target for guess in guesses.values()}
    return {
        column.position: guess
        for column in _undecided(columns, guesses)
        if (guess := decide(stage, column, taken_targets))
    }


def _guess_whole_names(columns: Sequence[Column], guesses: Mapping[int, Guess]) -> dict[int, Guess]:
    """Return the columns of first names that contain full names, in a file without last names."""
    targets = {guess.target for position, guess in guesses.items() if columns[position].values}
    if targets & {Target.LAST_NAME, Target.FULL_NAME} or any(c.meaning.topic is Topic.NAME for c in columns):
        return {}
    return {
        position: Guess(target=Target.FULL_NAME, confidence=0.8, decided_by="rule")
        for position, guess in guesses.items()
        if guess.target is Target.FIRST_NAME
        and guess.decided_by != "person"
        and columns[position].shape.share(Kind.TWO_WORDS) >= NEARLY_ALL
    }


def _guess_texts(columns: Sequence[Column], guesses: Mapping[int, Guess]) -> dict[int, Guess]:
    """Return the role, the company and the names among the columns that no rule decides."""
    taken_targets = {guess.target for guess in guesses.values()}
    texts = [
        column
        for column in _undecided(columns, guesses)
        if column.values and column.shape.is_text and column.meaning.topic is not Topic.OTHER
    ]
    decided: dict[int, Guess] = {}
    for target, score in ((Target.ROLE, _role_score), (Target.COMPANY, _company_score)):
        if target not in taken_targets and (best := find_best_column(texts, score)):
            texts.remove(best)
            confidence = 0.75 if score(best) < NEARLY_ALL else 0.85
            decided[best.position] = Guess(target=target, confidence=confidence, decided_by="shape")
    return decided if taken_targets & NAMES else decided | guess_names_by_values(texts, columns)


def _role_score(column: Column) -> float:
    return column.shape.share(Kind.ROLE)


def _company_score(column: Column) -> float:
    similarity, share = column.similarity, column.shape.share(Kind.COMPANY)
    # A family's name may be in the domain too; then the words that only companies have decide.
    return max(share, similarity.company) + share / 10 if similarity.company >= similarity.person else 0.0


def _guess_emails(columns: Sequence[Column], guesses: Mapping[int, Guess]) -> dict[int, Guess]:
    """Return few or a colleague's addresses with low confidence, in a file without other addresses."""
    if any(guess.target is Target.EMAIL for guess in guesses.values()):
        return {}
    return {
        column.position: Guess(target=Target.EMAIL, confidence=0.5, decided_by="rule")
        for column in columns
        if column.shape.share(Kind.EMAIL) > (0 if column.meaning.topic is Topic.EMAIL else HALF)
        and guesses[column.position].decided_by != "person"
    }
