"""The input, output and state of CSV mapping."""

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # pydantic supports typing.TypedDict only from Python 3.12

from ai.workflows.csv_mapping.columns import Column

DecidedBy: TypeAlias = Literal["rule", "shape", "model", "person"]
Confidence: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class Target(StrEnum):
    """The target of a column. Each target except `optOut`, `custom` and `ignore` has at most one column."""

    FIRST_NAME = "firstName"
    LAST_NAME = "lastName"
    FULL_NAME = "fullName"
    EMAIL = "email"
    COMPANY = "company"
    ROLE = "role"
    SEGMENT = "segment"
    TIMEZONE = "timezone"
    OPT_OUT = "optOut"
    """The column says not to mail the person of a row; `domain.opt_outs` reads its cells."""
    CUSTOM = "custom"
    IGNORE = "ignore"


SURE = 0.7  # below it the model is asked
REPEATABLE = frozenset({Target.OPT_OUT, Target.CUSTOM, Target.IGNORE})


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ColumnMapping(_Frozen):
    """The mapping of one column; `custom_name` is set when the target is `custom`."""

    position: Annotated[int, Field(ge=0)]
    header: str
    target: Target
    custom_name: str | None = None
    confidence: Confidence
    decided_by: DecidedBy
    samples: tuple[str, ...] = ()  # up to three values that support the mapping


class CsvMappingInput(_Frozen):
    """The header line and some rows (20 to 200 are enough); rows may be ragged.

    `remembered` are mappings that a user set for an earlier file. They apply to columns with the same header.
    """

    headers: list[str]
    samples: list[list[str]]
    remembered: list[ColumnMapping] | None = None


class CsvMappingOutput(_Frozen):
    """One mapping per header, in the file's order; `fallback_reason` says why no model was used for unclear columns."""

    columns: list[ColumnMapping]
    fallback_reason: str | None = None


class Guess(_Frozen):
    """The mapping of a column before the final decision."""

    target: Target
    confidence: Confidence
    decided_by: DecidedBy
    custom_name: str | None = None


class ColumnAnswer(BaseModel):
    """The model's answer for one column."""

    position: int
    target: Target
    confidence: Annotated[float, Field(description="From 0 (a guess) to 1 (certain).")]


class MappingAnswer(BaseModel):
    """The format of the model's answer."""

    columns: list[ColumnAnswer]


class InputState(TypedDict):
    """The input of the graph."""

    request: CsvMappingInput


class OutputState(TypedDict):
    """The output of the graph."""

    result: CsvMappingOutput


class State(InputState, OutputState, total=False):
    """The state between the nodes."""

    columns: list[Column]
    guesses: list[Guess]
    fallback_reason: str | None
