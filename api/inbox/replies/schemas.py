"""Replies on the wire, and what they are looked for by."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator

from ai.workflows.intent_classification.state import Intent
from api.accounts.usage.schemas import GenerationOut
from api.http.pagination import Filter, Wire

__all__ = ["CorrectionIn", "CorrectionOut", "Intent", "ReplyFilter", "ReplyOut", "ReplySort"]


class ReplySort(StrEnum):
    """In which order replies come."""

    NEWEST = "-receivedAt"
    OLDEST = "receivedAt"


class ReplyFilter(Filter):
    """Which replies are asked for."""

    lead_id: UUID | None = None
    enrollment_id: UUID | None = None
    sequence_id: UUID | None = None
    intent: Intent | None = None
    is_automatic: Annotated[bool | None, Field(description="Whether a machine wrote it.")] = None
    needs_review: Annotated[bool | None, Field(description="Whether a person is asked what it means.")] = None
    since: Annotated[AwareDatetime | None, Field(description="Received then or later.")] = None
    until: Annotated[AwareDatetime | None, Field(description="Received before then.")] = None


class HeaderOut(Wire):
    """One header of a message."""

    name: str
    value: str


class ReplyOut(Wire):
    """A message somebody sent back."""

    id: UUID
    lead_id: UUID | None
    enrollment_id: UUID | None
    sequence_id: UUID | None
    draft_id: UUID | None
    message_id: str
    from_email: str
    subject: str
    text: str
    intent: Intent | None
    is_automatic: bool | None
    confidence: float | None
    decided_by: Annotated[str | None, Field(description="headers, rules, model, abstain, or person.")]
    return_date: Annotated[date | None, Field(description="The day on which who is away is back.")]
    needs_review: Annotated[bool, Field(description="Neither rules nor a model were sure: a person is asked.")]
    generation: GenerationOut | None
    received_at: datetime


class CorrectionIn(Wire):
    """What a person says that a reply means; saying what it has already confirms it."""

    intent: Intent
    is_automatic: Annotated[
        bool | None, Field(description="Whether a machine wrote it; left out, it goes by the intent.")
    ] = None
    return_date: Annotated[date | None, Field(description="Of out_of_office; without it a person resumes.")] = None

    @model_validator(mode="after")
    def _is_away_to_return(self) -> Self:
        if self.return_date is not None and self.intent is not Intent.OUT_OF_OFFICE:
            raise ValueError("returnDate is only allowed with the intent out_of_office")
        return self

    @property
    def by_machine(self) -> bool:
        """Whether a machine wrote it: as said, or as is usual for the intent."""
        return self.intent in {Intent.OUT_OF_OFFICE, Intent.BOUNCE} if self.is_automatic is None else self.is_automatic


class CorrectionOut(Wire):
    """One labelled reply: its words, what had been made of it, and what a person said it means."""

    id: UUID
    reply_id: UUID
    subject: str
    text: str
    headers: Annotated[list[HeaderOut], Field(description="In the order of the message; empty where it was erased.")]
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
