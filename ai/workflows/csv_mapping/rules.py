"""Decides what columns are from their headers, the shape of their values and what stands beside them."""

from collections.abc import Mapping, Sequence

from ai.workflows.csv_mapping.columns import Column
from ai.workflows.csv_mapping.header_words import Topic
from ai.workflows.csv_mapping.likeness import Likeness, likeness_of, rows_of
from ai.workflows.csv_mapping.names import name_by_neighbours
from ai.workflows.csv_mapping.rivals import settle
from ai.workflows.csv_mapping.shapes import HALF, MOSTLY, Kind
from ai.workflows.csv_mapping.state import Guess, Target
from ai.workflows.csv_mapping.values import OPEN_TEXT, by_values

# Enough of the values to believe a header, where values of other columns would hardly look so.
SOME = 0.3
OFTEN = 0.4
FEW = 0.2
NEARLY_ALL = 0.8

_TEXTS: Mapping[Topic, tuple[Target, Kind]] = {
    Topic.FIRST_NAME: (Target.FIRST_NAME, Kind.GIVEN),
    Topic.LAST_NAME: (Target.LAST_NAME, Kind.NAME),
    Topic.FULL_NAME: (Target.FULL_NAME, Kind.TWO_WORDS),
    Topic.COMPANY: (Target.COMPANY, Kind.COMPANY),
    Topic.ROLE: (Target.ROLE, Kind.ROLE),
}


def guess_columns(columns: Sequence[Column], settled: Mapping[int, Guess]) -> list[Guess]:
    """Return a guess per column, in order; each single target goes to one column at most, what is settled stands."""
    rows = rows_of(columns)
    likenesses = [likeness_of(column, rows) if column.shape.is_text else Likeness() for column in columns]
    guesses = dict(settled)
    for column in columns:
        if column.position not in guesses and (guess := _by_header(column, likenesses[column.position])):
            guesses[column.position] = guess
    guesses |= _whole_names(columns, guesses)
    for column in sorted(columns, key=lambda column: column.meaning.words <= {"name", "naam", "nom"}):
        if column.position not in guesses and column.meaning.topic is Topic.NAME and column.shape.is_text:
            guess = name_by_neighbours(column, columns, guesses, likenesses[column.position])
            guesses |= {column.position: guess} if guess else {}
    guesses |= by_values(columns, guesses, likenesses)
    left = [column for column in columns if column.position not in guesses]
    taken = {guess.target for guess in guesses.values()}
    guesses |= {column.position: _left_over(column, taken) for column in left}
    guesses |= _last_resort(columns, guesses)
    return settle(columns, [guesses[position] for position in range(len(columns))])


def _by_header(column: Column, likeness: Likeness) -> Guess | None:
    """Weigh a header against its values; where they contradict each other it says nothing."""
    topic = column.meaning.topic
    if not column.values:
        return _without_values(column)
    if topic is Topic.COLLEAGUE:
        return _custom(0.95)
    if topic in _TEXTS:
        return _text(column, likeness)
    judge = {
        Topic.SPARE: _spare,
        Topic.EMAIL: _email,
        Topic.TIMEZONE: _timezone,
        Topic.SEGMENT: _segment,
        Topic.EMPLOYEES: _segment,
    }.get(topic)
    return judge(column) if judge else None


def _without_values(column: Column) -> Guess:
    """Believe a plain header, and keep what has another: values may follow further down; leave out what has none."""
    known = {topic: target for topic, (target, _) in _TEXTS.items()}
    known |= {Topic.EMAIL: Target.EMAIL, Topic.SEGMENT: Target.SEGMENT, Topic.TIMEZONE: Target.TIMEZONE}
    known |= {Topic.NAME: Target.FULL_NAME}
    if column.meaning.topic in {Topic.UNNAMED, Topic.COUNTER}:
        return Guess(target=Target.IGNORE, confidence=0.95, decided_by="shape")
    if column.meaning.strange or column.meaning.is_lesser or column.meaning.topic not in known:
        return _custom(0.9)
    return _rule(known[column.meaning.topic], 0.8)


def _whole_names(columns: Sequence[Column], guesses: Mapping[int, Guess]) -> dict[int, Guess]:
    """Return first names that are whole names, in a file where no column holds last names."""
    held = {guess.target for position, guess in guesses.items() if columns[position].values}
    return {
        position: _rule(Target.FULL_NAME, 0.8)
        for position, guess in guesses.items()
        if guess.target is Target.FIRST_NAME
        and guess.decided_by != "person"
        and not held & {Target.LAST_NAME, Target.FULL_NAME}
        and columns[position].shape.share(Kind.TWO_WORDS) >= NEARLY_ALL
        and all(column.meaning.topic is not Topic.NAME for column in columns)
    }


def _last_resort(columns: Sequence[Column], guesses: Mapping[int, Guess]) -> dict[int, Guess]:
    """Take addresses that are few, or seem to be somebody else's, unsure, where the file has no others."""
    if any(guess.target is Target.EMAIL for guess in guesses.values()):
        return {}
    return {
        column.position: _rule(Target.EMAIL, 0.5)
        for column in columns
        if column.shape.share(Kind.EMAIL) > (0 if column.meaning.topic is Topic.EMAIL else HALF)
        and guesses[column.position].decided_by != "person"
    }


def _spare(column: Column) -> Guess | None:
    shape = column.shape
    speaks = max(shape.share(Kind.EMAIL), shape.share(Kind.ZONE), shape.share(Kind.SIZE_CLASS)) >= MOSTLY
    return None if speaks else _custom(0.85 if column.meaning.strange else 0.95)


def _email(column: Column) -> Guess | None:
    share = column.shape.share(Kind.EMAIL)
    return _rule(Target.EMAIL, 0.97 if share >= MOSTLY else 0.85) if share >= SOME else None


def _timezone(column: Column) -> Guess | None:
    shape = column.shape
    if shape.share(Kind.ZONE) >= SOME:
        return _rule(Target.TIMEZONE, 0.97)
    is_other = shape.share(Kind.EMAIL, Kind.URL, Kind.DATE, Kind.LONG) >= HALF
    return None if is_other else _rule(Target.TIMEZONE, 0.75)


def _segment(column: Column) -> Guess | None:
    """Take words for size classes, or numbers of employees; other words only when the header says segment."""
    shape = column.shape
    if shape.share(Kind.SIZE_CLASS, Kind.SIZE) >= HALF:
        return _rule(Target.SEGMENT, 0.97)
    if shape.share(Kind.COUNT) >= HALF:
        return _rule(Target.SEGMENT, 0.92 if not column.meaning.strange else 0.85)
    is_segment = column.meaning.topic is Topic.SEGMENT and shape.is_text
    return _rule(Target.SEGMENT, 0.6) if is_segment else None


def _text(column: Column, likeness: Likeness) -> Guess | None:
    """Believe a header about names, titles and companies, less so the more of it is not understood."""
    meaning, shape = column.meaning, column.shape
    target, kind = _TEXTS[meaning.topic]
    if not shape.is_text or shape.share(Kind.SALUTATION) >= OFTEN or shape.share(Kind.LONG) >= MOSTLY:
        return None
    resembles = likeness.company if target is Target.COMPANY else likeness.person if target is not Target.ROLE else 0.0
    is_borne_out = max(shape.share(kind), resembles) >= FEW
    if meaning.strange:
        return _rule(target, 0.85) if is_borne_out else _rule(target, 0.6) if meaning.strange == 1 else None
    return _rule(target, 0.97 if is_borne_out else 0.93)


def _left_over(column: Column, taken: set[Target]) -> Guess:
    """Keep what is none of a lead's own fields; leave out numbers of rows."""
    shape, meaning = column.shape, column.meaning
    is_nameless = meaning.topic in {Topic.UNNAMED, Topic.COUNTER} or column.position == 0
    if shape.is_counting and is_nameless:
        return Guess(target=Target.IGNORE, confidence=0.95, decided_by="shape")
    if shape.foremost:
        return Guess(target=Target.CUSTOM, confidence=0.9, decided_by="shape")
    if taken >= OPEN_TEXT or shape.share(Kind.LONG) >= SOME:
        return Guess(target=Target.CUSTOM, confidence=0.8, decided_by="shape")
    return _custom(0.55)


def _rule(target: Target, confidence: float) -> Guess:
    return Guess(target=target, confidence=confidence, decided_by="rule")


def _custom(confidence: float) -> Guess:
    return _rule(Target.CUSTOM, confidence)
