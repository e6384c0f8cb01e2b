"""The JSON of drafts and of their review."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from api.accounts.usage.schemas import GenerationOut
from api.http.pagination import UNCHANGED, Wire
from domain.draft import DraftStatus

ONE_LINE = r"^[^\r\n]*[^\s][^\r\n]*$"
"""One line that is not blank."""


class WrittenOut(Wire):
    """The text before the first edit by a user."""

    subject: str
    body: str


class DraftOut(Wire):
    """An email to a lead."""

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
    warnings: Annotated[
        list[str],
        Field(
            description="What is left out of the mail, and why, and a greeting without a name; updated by each edit."
        ),
    ]
    generation: GenerationOut | None
    written: Annotated[
        WrittenOut | None, Field(description="The text before the first edit; null if it was not edited.")
    ]
    send_at: datetime | None
    sent_at: datetime | None
    created_at: datetime
    updated_at: datetime


class DraftChange(Wire):
    """The fields to change; fields that you leave out stay the same."""

    subject: Annotated[str, Field(min_length=1, max_length=500, pattern=ONE_LINE)] = UNCHANGED
    body: Annotated[str, Field(min_length=1, max_length=50_000, pattern=r"\S")] = UNCHANGED


class ApproveIn(Wire):
    """The drafts to approve: by id, or all drafts of a sequence that wait for review."""

    draft_ids: Annotated[list[UUID], Field(min_length=1, max_length=10_000)] | None = None
    sequence_id: UUID | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.draft_ids is None) == (self.sequence_id is None):
            raise ValueError("set either draftIds or sequenceId")
        return self


class ApprovalStatus(StrEnum):
    """The result of approving one draft."""

    APPROVED = "approved"
    NOT_WAITING = "not_waiting"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Approval(Wire):
    """The result for one draft; `reason` says why a refused draft can never be sent."""

    draft_id: UUID
    status: ApprovalStatus
    reason: str | None = None


class ApproveResult(Wire):
    """The approved drafts, with a result for each requested id and for each refused draft."""

    approved: list[UUID]
    results: list[Approval]


class RejectIn(Wire):
    """Why the draft is rejected."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]
