"""Request and response bodies of replies, and the filters of their list."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator

from ai.workflows.intent_classification.state import Intent
from api.accounts.usage.schemas import GenerationOut
from api.http.pagination import Filter, Wire
from email_text.reports import ReportKind

__all__ = ["CorrectionIn", "CorrectionOut", "Intent", "ReplyFilter", "ReplyOut", "ReplySort"]


class ReplySort(StrEnum):
    """The order of replies."""

    NEWEST = "-receivedAt"
    OLDEST = "receivedAt"


class ReplyFilter(Filter):
    """The filters of the list of replies."""

    lead_id: UUID | None = None
    enrollment_id: UUID | None = None
    sequence_id: UUID | None = None
    intent: Intent | None = None
    is_automatic: Annotated[bool | None, Field(description="Whether the reply is automatic.")] = None
    needs_review: Annotated[bool | None, Field(description="Whether a user must review the intent.")] = None
    since: Annotated[AwareDatetime | None, Field(description="Received at this time or later.")] = None
    until: Annotated[AwareDatetime | None, Field(description="Received before this time.")] = None


class HeaderOut(Wire):
    """A header of a message."""

    name: str
    value: str


class ReportedRecipientOut(Wire):
    """What a report says about one recipient."""

    addresses: Annotated[list[str], Field(description="The final and the original recipient, as far as named.")]
    action: Annotated[str, Field(description="failed, delayed, delivered, relayed, expanded, or empty.")]
    status: Annotated[str, Field(description="The enhanced status code, such as 5.1.1, or empty.")]
    detail: Annotated[str, Field(description="The text of the server, or the type of feedback.")]


class ReportOut(Wire):
    """What a mail system or a mail program reports."""

    kind: ReportKind
    recipients: list[ReportedRecipientOut]
    names_mail: Annotated[bool, Field(description="Whether it names the id of the email that it is about.")]


class ReplyOut(Wire):
    """A received reply."""

    id: UUID
    lead_id: UUID | None
    enrollment_id: UUID | None
    sequence_id: UUID | None
    draft_id: UUID | None
    message_id: str
    from_email: Annotated[
        str, Field(description="The author's address; behind a group or list it is not the address in From.")
    ]
    subject: str
    text: str
    intent: Intent | None
    is_automatic: bool | None
    confidence: float | None
    decided_by: Annotated[str | None, Field(description="headers, rules, model, abstain, or person.")]
    return_date: Annotated[date | None, Field(description="The day on which the sender is back.")]
    needs_review: Annotated[bool, Field(description="Whether a user must review the reply.")]
    review_reason: Annotated[
        str | None, Field(description="Why a user must review the reply; null if only its intent is uncertain.")
    ]
    report: Annotated[
        ReportOut | None, Field(description="What a mail system or a mail program reports; null for other messages.")
    ]
    generation: GenerationOut | None
    received_at: datetime


class CorrectionIn(Wire):
    """The right intent of a reply; sending the present intent confirms it."""

    intent: Intent
    is_automatic: Annotated[
        bool | None, Field(description="Whether the reply is automatic. By default true for out_of_office and bounce.")
    ] = None
    return_date: Annotated[date | None, Field(description="Only for out_of_office; without it, resume by hand.")] = None

    @model_validator(mode="after")
    def _has_return_date_only_if_away(self) -> Self:
        if self.return_date is not None and self.intent is not Intent.OUT_OF_OFFICE:
            raise ValueError("returnDate is only allowed with the intent out_of_office")
        return self

    @property
    def is_machine_reply(self) -> bool:
        """Whether the reply is automatic, by default by its intent."""
        return self.intent in {Intent.OUT_OF_OFFICE, Intent.BOUNCE} if self.is_automatic is None else self.is_automatic


class CorrectionOut(Wire):
    """A labelled reply: its text, the previous intent, and the intent that a user set."""

    id: UUID
    reply_id: UUID
    subject: str
    text: str
    headers: Annotated[list[HeaderOut], Field(description="In the order of the message; empty after erasure.")]
    received_at: datetime
    intent_before: Intent | None
    is_automatic_before: bool | None
    confidence_before: float | None
    decided_by_before: str | None
    intent: Intent
    is_automatic: bool
    return_date: date | None
    corrected_by: Annotated[str, Field(description="The id of the user.")]
    corrected_at: datetime
