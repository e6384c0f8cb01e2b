"""What CSV mapping is given, what it hands back, and what its nodes pass on."""

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # pydantic reads schemas of typing's own only from Python 3.12

from ai.workflows.csv_mapping.columns import Column

DecidedBy: TypeAlias = Literal["rule", "shape", "model", "person"]
Confidence: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class Target(StrEnum):
    """What a column can be. All but `custom` and `ignore` are given to one column at most."""

    FIRST_NAME = "firstName"
    LAST_NAME = "lastName"
    FULL_NAME = "fullName"
    EMAIL = "email"
    COMPANY = "company"
    ROLE = "role"
    SEGMENT = "segment"
    TIMEZONE = "timezone"
    CUSTOM = "custom"
    IGNORE = "ignore"


SURE = 0.7  # below it the model is asked
REPEATABLE = frozenset({Target.CUSTOM, Target.IGNORE})


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ColumnMapping(_Frozen):
    """What one column is taken for; `custom_name` is set when the target is `custom`."""

    position: Annotated[int, Field(ge=0)]
    header: str
    target: Target
    custom_name: str | None = None
    confidence: Confidence
    decided_by: DecidedBy
    samples: tuple[str, ...] = ()  # up to three values that convinced


class CsvMappingInput(_Frozen):
    """The header line and some rows (20 to 200 tell enough); rows may be ragged.

    `remembered` is what a person settled for an earlier file; columns with the same header take it over.
    """

    headers: list[str]
    samples: list[list[str]]
    remembered: list[ColumnMapping] | None = None


class CsvMappingOutput(_Frozen):
    """One mapping per header, in the file's order; `fallback_reason` says why no model was heard on unsure columns."""

    columns: list[ColumnMapping]
    fallback_reason: str | None = None


class Guess(_Frozen):
    """What a column seems to be so far."""

    target: Target
    confidence: Confidence
    decided_by: DecidedBy
    custom_name: str | None = None


class ColumnAnswer(BaseModel):
    """The model's opinion on one column."""

    position: int
    target: Target
    confidence: Annotated[float, Field(description="From 0 (a guess) to 1 (certain).")]


class MappingAnswer(BaseModel):
    """The form in which the model answers."""

    columns: list[ColumnAnswer]


class InputState(TypedDict):
    """What the graph takes."""

    request: CsvMappingInput


class OutputState(TypedDict):
    """What the graph gives."""

    result: CsvMappingOutput


class State(InputState, OutputState, total=False):
    """What the nodes pass on."""

    columns: list[Column]
    guesses: list[Guess]
    fallback_reason: str | None
