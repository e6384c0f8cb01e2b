"""The input, output and state of intent classification."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator
from typing_extensions import TypedDict  # pydantic supports typing.TypedDict only from Python 3.12

from ai.prompts import Prompt
from ai.usage import Generation
from ai.workflows.intent_classification.headers import Kind


class Intent(StrEnum):
    """The intent of a reply."""

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
    """A received reply: header pairs (or a mapping), subject, plain text, and time of arrival.

    `sent_subject` and `sent_text` are those of the mail that it answers, and `time_zone` is its sender's, if they are
    known.
    """

    headers: list[tuple[str, str]] = []
    subject: str = ""
    text: str = ""
    sent_subject: str = ""
    sent_text: str = ""
    time_zone: str = ""
    received_at: AwareDatetime

    @field_validator("headers", mode="before")
    @classmethod
    def _as_pairs(cls, value: object) -> object:
        return list(value.items()) if isinstance(value, Mapping) else value


class IntentOutput(_Frozen):
    """The intent of a reply; `return_date` is for out-of-office replies.

    A user must review it if `abstained`, because the intent is uncertain, or if `needs_review`, because something else
    is: the return date, or whether words in a signature or footer are meant.
    """

    label: Intent
    confidence: Annotated[float, Field(ge=0, le=1)]
    return_date: date | None = None
    is_automatic: bool
    decided_by: Literal["headers", "rules", "model", "abstain"]
    abstained: bool = False
    needs_review: bool = False
    generation: Generation = Generation()


class Verdict(_Frozen):
    """The intent according to one step of the graph."""

    label: Intent
    confidence: float
    decided_by: Literal["headers", "rules", "model"]


class IntentAnswer(BaseModel):
    """The format of the model's answer."""

    label: Intent
    confidence: Annotated[float, Field(description="From 0 (a guess) to 1 (certain).")]


class InputState(TypedDict):
    """The input of the graph."""

    request: IntentInput


class OutputState(TypedDict):
    """The output of the graph."""

    result: IntentOutput


class State(InputState, OutputState, total=False):
    """The state between the nodes."""

    kind: Kind  # the origin, by the headers
    is_automatic: bool
    text: str  # without quotes and signature
    tail: str  # the signature and footer
    subject: str  # the words of the subject that the sender wrote
    verdict: Verdict | None
    prompt: Prompt
    fallback_reason: str | None
