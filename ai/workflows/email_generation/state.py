"""The input, output and state of email generation."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # pydantic supports typing.TypedDict only from Python 3.12

from ai.prompts import Prompt
from ai.usage import Generation


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class LeadFacts(_Frozen):
    """The fields of a lead. All of them are external data, never instructions."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    company: str = ""
    role: str = ""
    segment: str = ""
    custom_fields: dict[str, str] = {}


class Sender(_Frozen):
    """The sender of the email."""

    name: str = ""
    email: str = ""


class EarlierMessage(_Frozen):
    """An earlier message of the thread; `direction` is from our side."""

    direction: Literal["sent", "received"]
    subject: str
    text: str


class EmailGenerationInput(_Frozen):
    """The templates of a step and the data for the email.

    `unsubscribe_url` is the link of this email, for templates that contain it; `earlier_messages` are oldest first.
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
    warnings: list[str] = []
    """Sentences for the reviewer: fields that are left out, and a greeting without a name."""
    generation: Generation


class DraftFailed(_Frozen):
    """No text passed the checks, not even the rendered template; `reasons` are sentences for users."""

    kind: Literal["failed"] = "failed"
    reasons: list[str]
    generation: Generation


EmailGenerationOutput: TypeAlias = EmailDraft | DraftFailed


class Sentence(BaseModel):
    """A sentence and its sources."""

    text: Annotated[str, Field(description="One sentence, greeting or closing, as plain text without markup.")]
    sources: Annotated[
        list[str],
        Field(
            description="The sources of everything that the sentence says: template, voice, earlier_messages, sender, "
            "lead.<field> or custom.<field>. Empty for a greeting, a closing, a courtesy or a plain question."
        ),
    ]


class WrittenEmail(BaseModel):
    """The format of the model's answer."""

    subject: Annotated[str, Field(description="One line, without line breaks.")]
    paragraphs: Annotated[
        list[list[Sentence]],
        Field(description="The body: its paragraphs in order, each a list of its sentences in order."),
    ]


class Candidate(_Frozen):
    """A text before the checks.

    `sentences` are those of a model's text; `html` is None when it must be generated from the text.
    """

    subject: str
    text: str
    html: str | None = None
    author: Literal["model", "template"]
    sentences: list[Sentence] = []


class InputState(TypedDict):
    """The input of the graph."""

    request: EmailGenerationInput


class OutputState(TypedDict):
    """The output of the graph."""

    result: EmailGenerationOutput


@dataclass(frozen=True, slots=True)
class PlausibleRequest:
    """A request without implausible fields; `withheld` has the reasons for the removed fields."""

    request: EmailGenerationInput
    withheld: dict[str, str]


class State(InputState, OutputState, total=False):
    """The state between the nodes."""

    plausible: PlausibleRequest
    variables: dict[str, object]
    candidate: Candidate | None
    problems: list[str]
    writings: int  # the number of texts the model wrote, with rejected ones
    prompt: Prompt
    fallback_reason: str | None
