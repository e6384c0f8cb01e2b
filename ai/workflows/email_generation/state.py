"""What email generation is given, what it hands back, and what its nodes pass on."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # pydantic reads schemas of typing's own only from Python 3.12

from ai.prompts import Prompt
from ai.usage import Generation


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
    """A step's templates and everything the email may draw on.

    `unsubscribe_url` is the mail's own way out, for templates that place it; `earlier_messages` are oldest first.
    """

    subject_template: str
    body_template: str
    lead: LeadFacts
    sender: Sender = Sender()
    workspace_name: str = ""
    voice: str = ""
    unsubscribe_url: str = ""
    earlier_messages: list[EarlierMessage] = []


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


class Sentence(BaseModel):
    """One sentence and where what it says stands."""

    text: Annotated[str, Field(description="One sentence, greeting or closing, as plain text without markup.")]
    sources: Annotated[
        list[str],
        Field(
            description="Where all that the sentence says stands: template, voice, earlier_messages, sender, "
            "lead.<field> or custom.<field>. Empty for a greeting, a closing, a courtesy or a plain question."
        ),
    ]


class WrittenEmail(BaseModel):
    """The form in which the model answers."""

    subject: Annotated[str, Field(description="One line, without line breaks.")]
    paragraphs: Annotated[
        list[list[Sentence]],
        Field(description="The body: its paragraphs in order, each a list of its sentences in order."),
    ]


class Candidate(_Frozen):
    """A text that has still to pass the checks.

    `sentences` are those of a model's text; `html` is None where it is to be made of the text.
    """

    subject: str
    text: str
    html: str | None = None
    author: Literal["model", "template"]
    sentences: list[Sentence] = []


class InputState(TypedDict):
    """What the graph takes."""

    request: EmailGenerationInput


class OutputState(TypedDict):
    """What the graph gives."""

    result: EmailGenerationOutput


@dataclass(frozen=True, slots=True)
class Believed:
    """A request whose lead has only fields that can be what they are called; `withheld` says of the others why."""

    request: EmailGenerationInput
    withheld: dict[str, str]


class State(InputState, OutputState, total=False):
    """What the nodes pass on."""

    believed: Believed
    variables: dict[str, object]
    candidate: Candidate | None
    problems: list[str]
    writings: int  # how often the model has written, refused attempts included
    prompt: Prompt
    fallback_reason: str | None
