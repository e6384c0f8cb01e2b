"""Drafts on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from api.accounts.usage.schemas import GenerationOut
from api.http.pagination import Wire
from domain.draft import DraftStatus

ONE_LINE = r"^[^\r\n]*[^\s][^\r\n]*$"
"""Something to read, on one line."""


class WrittenOut(Wire):
    """A text before the first edit by a person."""

    subject: str
    body: str


class DraftOut(Wire):
    """One email to one lead."""

    id: UUID
    lead_id: UUID
    enrollment_id: UUID
    sequence_id: UUID
    step_id: UUID
    step_order: int
    subject: str
    body: str
    body_html: str
    status: DraftStatus
    error_reason: str | None
    generation: GenerationOut | None
    written: Annotated[WrittenOut | None, Field(description="The text before the first edit; null without one.")]
    send_at: datetime | None
    sent_at: datetime | None
    created_at: datetime
    updated_at: datetime


class DraftChange(Wire):
    """What a reviewer changes; what is left out stays."""

    subject: Annotated[str, Field(min_length=1, max_length=500, pattern=ONE_LINE)] | None = None
    body: Annotated[str, Field(min_length=1, max_length=50_000, pattern=r"\S")] | None = None

    @model_validator(mode="after")
    def _not_cleared(self) -> Self:
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("subject and body cannot be null; leave out what is to stay")
        return self


class ApproveIn(Wire):
    """Which drafts to approve: some by id, or all of a sequence that wait for review."""

    draft_ids: Annotated[list[UUID], Field(min_length=1, max_length=10_000)] | None = None
    sequence_id: UUID | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.draft_ids is None) == (self.sequence_id is None):
            raise ValueError("give either draftIds or sequenceId")
        return self


class ApprovalStatus(StrEnum):
    """What became of one draft that was to be approved."""

    APPROVED = "approved"
    NOT_WAITING = "not_waiting"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Approval(Wire):
    """What became of one draft; `reason` says why it was refused: it can never be sent."""

    draft_id: UUID
    status: ApprovalStatus
    reason: str | None = None


class ApproveResult(Wire):
    """Which drafts were approved, with a row for each that was asked for by its id, and for each that was refused."""

    approved: list[UUID]
    results: list[Approval]


class RejectIn(Wire):
    """Why a draft is not to be sent, for those who write it again."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]
