"""Guesses single columns by the rules in `words/rules.toml`; the format is described there."""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ai.workflows.csv_mapping.columns import Column
from ai.workflows.csv_mapping.headers import Topic
from ai.workflows.csv_mapping.state import Confidence, DecidedBy, Guess, Target
from ai.workflows.csv_mapping.tables import read_table
from ai.workflows.csv_mapping.values import Kind

Stage: TypeAlias = Literal["header", "values", "rest"]

OPEN_TEXT = frozenset({Target.COMPANY, Target.ROLE, Target.FIRST_NAME, Target.LAST_NAME})
# The target of a topic, and the kind of values that confirms it.
_FIELDS: Mapping[Topic, tuple[Target, Kind]] = {
    Topic.FIRST_NAME: (Target.FIRST_NAME, Kind.GIVEN_NAME),
    Topic.LAST_NAME: (Target.LAST_NAME, Kind.NAME),
    Topic.FULL_NAME: (Target.FULL_NAME, Kind.TWO_WORDS),
    Topic.NAME: (Target.FULL_NAME, Kind.TWO_WORDS),
    Topic.COMPANY: (Target.COMPANY, Kind.COMPANY),
    Topic.ROLE: (Target.ROLE, Kind.ROLE),
    Topic.EMAIL: (Target.EMAIL, Kind.EMAIL),
    Topic.SEGMENT: (Target.SEGMENT, Kind.SIZE_CLASS),
    Topic.TIMEZONE: (Target.TIMEZONE, Kind.TIMEZONE),
}


def _confirmed_share(column: Column, _: set[Target]) -> float:
    """Return the share of values that match the header, by their words or by the addresses in their rows."""
    if column.meaning.topic not in _FIELDS:
        return 0.0
    target, kind = _FIELDS[column.meaning.topic]
    similar = {Target.COMPANY: column.similarity.company, Target.ROLE: 0.0}
    return max(column.shape.share(kind), similar.get(target, column.similarity.person))


MEASURES: Mapping[str, Callable[[Column, set[Target]], float]] = {
    "blank": lambda column, _: not column.values,
    "confirmed": _confirmed_share,
    "counting": lambda column, _: column.shape.is_counting,
    "has_target": lambda column, _: column.meaning.topic in _FIELDS,
    "main_kind": lambda column, _: column.shape.main_kind is not None,
    "missing_texts": lambda _, taken_targets: len(OPEN_TEXT - taken_targets),
    "position": lambda column, _: column.position,
    "secondary": lambda column, _: column.meaning.is_secondary,
    "text": lambda column, _: column.shape.is_text,
}
"""The measures in rules besides shares of kinds, given the targets of other columns."""


def _check_names(bounds: dict[str, float]) -> dict[str, float]:
    """Raise ValueError for a name that is neither a measure nor a kind of value."""
    for name in bounds.keys() - MEASURES.keys():
        for kind in name.split("+"):
            Kind(kind)
    return bounds


Bounds: TypeAlias = Annotated[dict[str, float], AfterValidator(_check_names)]


class Rule(BaseModel):
    """One rule of the table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topics: frozenset[Topic] = frozenset(Topic)
    at_least: Bounds = {}
    below: Bounds = {}
    target: Target | None = None
    confidence: Annotated[list[Confidence], Field(min_length=1)]
    decided_by: DecidedBy = "rule"


_RULES = {stage: [Rule.model_validate(rule) for rule in rules] for stage, rules in read_table("rules").items()}


def decide(stage: Stage, column: Column, taken_targets: set[Target]) -> Guess | None:
    """Return the guess of the first rule of a stage that holds, given the targets of other columns, or None."""
    for rule in _RULES[stage]:
        confidence = rule.confidence[: column.meaning.unknown_words + 1][-1]
        if confidence and column.meaning.topic in rule.topics and _is_within(rule, column, taken_targets):
            target = rule.target or _FIELDS[column.meaning.topic][0]
            return Guess(target=target, confidence=confidence, decided_by=rule.decided_by)
    return None


def _is_within(rule: Rule, column: Column, taken_targets: set[Target]) -> bool:
    """Return whether the measures of a column are within the bounds of a rule."""
    return all(_measure(name, column, taken_targets) >= bound for name, bound in rule.at_least.items()) and all(
        _measure(name, column, taken_targets) < bound for name, bound in rule.below.items()
    )


def _measure(name: str, column: Column, taken_targets: set[Target]) -> float:
    measure = MEASURES.get(name)
    return measure(column, taken_targets) if measure else column.shape.share(*map(Kind, name.split("+")))
