"""What email generation is given, what it hands back, and what its nodes pass on."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # pydantic reads schemas of typing's own only from Python 3.12

from ai.models import Usage


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class LeadFacts(_Frozen):
    """What is known of the lead. All of it is outside text: data, never instructions."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    company: str = ""
    role: str = ""
    segment: str = ""
    custom_fields: dict[str, str] = {}


class Sender(_Frozen):
    """Who the email is from."""

    name: str = ""
    email: str = ""


class EarlierMessage(_Frozen):
    """A message already in the thread, as seen from us."""

    direction: Literal["sent", "received"]
    subject: str
    text: str


class EmailGenerationInput(_Frozen):
    """A step's templates and everything the email may draw on."""

    subject_template: str
    body_template: str
    lead: LeadFacts
    sender: Sender = Sender()
    workspace_name: str = ""
    voice: str = ""
    earlier_messages: list[EarlierMessage] = []


class Generation(_Frozen):
    """How a text came about. `model` is None for a rendered template; `cost` is in USD, None if unknown."""

    model: str | None = None
    prompt_version: str | None = None
    trace_id: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None
    fallback_reason: str | None = None


class EmailDraft(_Frozen):
    """An email that passed every check."""

    kind: Literal["draft"] = "draft"
    subject: str
    text: str
    html: str
    generation: Generation


class DraftFailed(_Frozen):
    """No text passed the checks, the rendered template included; `reasons` are sentences for a person."""

    kind: Literal["failed"] = "failed"
    reasons: list[str]
    generation: Generation


EmailGenerationOutput: TypeAlias = EmailDraft | DraftFailed


class WrittenEmail(BaseModel):
    """The form in which the model answers."""

    subject: Annotated[str, Field(description="One line, without line breaks.")]
    body: Annotated[str, Field(description="Plain text. Paragraphs are separated by an empty line. No markup.")]


class Candidate(_Frozen):
    """A text that has still to pass the checks; `html` is None where it is to be made of the text."""

    subject: str
    text: str
    html: str | None = None
    author: Literal["model", "template"]


class InputState(TypedDict):
    """What the graph takes."""

    request: EmailGenerationInput


class OutputState(TypedDict):
    """What the graph gives."""

    result: EmailGenerationOutput


class State(InputState, OutputState, total=False):
    """What the nodes pass on."""

    variables: dict[str, object]
    candidate: Candidate | None
    problems: list[str]
    writings: int  # how often the model has written, refused attempts included
    usage: Usage
    prompt_version: str
    fallback_reason: str | None
