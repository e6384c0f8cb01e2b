"""What intent classification is given, what it hands back, and what its nodes pass on."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator
from typing_extensions import TypedDict  # pydantic reads schemas of typing's own only from Python 3.12

from ai.prompts import Prompt
from ai.usage import Generation
from ai.workflows.intent_classification.headers import Kind


class Intent(StrEnum):
    """What a reply means."""

    INTERESTED = "interested"
    MEETING_REQUEST = "meeting_request"
    QUESTION = "question"
    REFERRAL = "referral"
    NOT_NOW = "not_now"
    NOT_INTERESTED = "not_interested"
    UNSUBSCRIBE = "unsubscribe"
    OUT_OF_OFFICE = "out_of_office"
    WRONG_PERSON = "wrong_person"
    BOUNCE = "bounce"
    OTHER = "other"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class IntentInput(_Frozen):
    """A reply as it came in: header pairs (a mapping is taken too), subject, plain text, and when it arrived."""

    headers: list[tuple[str, str]] = []
    subject: str = ""
    text: str = ""
    received_at: AwareDatetime

    @field_validator("headers", mode="before")
    @classmethod
    def _as_pairs(cls, value: object) -> object:
        return list(value.items()) if isinstance(value, Mapping) else value


class IntentOutput(_Frozen):
    """What the reply means; `abstained` asks a person, `return_date` is known for some out-of-office replies."""

    label: Intent
    confidence: Annotated[float, Field(ge=0, le=1)]
    return_date: date | None = None
    is_automatic: bool
    decided_by: Literal["headers", "rules", "model", "abstain"]
    abstained: bool = False
    generation: Generation = Generation()


class Verdict(_Frozen):
    """What one step of the graph makes of the reply."""

    label: Intent
    confidence: float
    decided_by: Literal["headers", "rules", "model"]


class IntentAnswer(BaseModel):
    """The form in which the model answers."""

    label: Intent
    confidence: Annotated[float, Field(description="From 0 (a guess) to 1 (certain).")]


class InputState(TypedDict):
    """What the graph takes."""

    request: IntentInput


class OutputState(TypedDict):
    """What the graph gives."""

    result: IntentOutput


class State(InputState, OutputState, total=False):
    """What the nodes pass on."""

    kind: Kind  # who wrote it, by its headers
    is_automatic: bool
    text: str  # what the sender wrote, without quotes and signature
    verdict: Verdict | None
    prompt: Prompt
    fallback_reason: str | None
