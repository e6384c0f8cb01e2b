"""Enrollments on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from api.http.pagination import Wire
from domain.enrollment import EnrollmentStatus

MOST_LEADS = 100_000
MOST_AT_ONCE = 10_000

Sentence = Annotated[str, Field(min_length=1, max_length=500)]


class EnrollIn(Wire):
    """Which leads are to go through which sequence: some by id, or a whole list."""

    sequence_id: UUID
    lead_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_LEADS)] | None = None
    list_id: UUID | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.lead_ids is None) == (self.list_id is None):
            raise ValueError("give either leadIds or listId")
        return self


class EnrollResult(Wire):
    """How many leads were enrolled, and how many were skipped for which reason."""

    enrolled: int
    skipped: dict[str, int]


class EnrollmentOut(Wire):
    """A lead's way through a sequence."""

    id: UUID
    lead_id: UUID
    sequence_id: UUID
    current_step_order: int
    """The place, when it was scheduled, of the step it waits for; `explain` says where that stands now."""
    status: EnrollmentStatus
    pause_reason: str | None
    resume_at: datetime | None
    next_run_at: datetime | None
    enrolled_at: datetime
    completed_at: datetime | None


class StopIn(Wire):
    """Why an enrollment is ended, for people."""

    reason: Sentence | None = None


class BulkAction(StrEnum):
    """What can be done to many enrollments at once."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


class BulkIn(Wire):
    """What to do to which enrollments: some by id, or those of a sequence, in one status where that is given."""

    action: BulkAction
    enrollment_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_AT_ONCE)] | None = None
    sequence_id: UUID | None = None
    status: Annotated[EnrollmentStatus | None, Field(description="With sequenceId: only those in this status.")] = None
    reason: Sentence | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.enrollment_ids is None) == (self.sequence_id is None):
            raise ValueError("give either enrollmentIds or sequenceId")
        if self.status is not None and self.sequence_id is None:
            raise ValueError("status goes with sequenceId; enrollmentIds say by themselves which are meant")
        return self


class BulkOutcome(StrEnum):
    """What became of one enrollment of a bulk call."""

    CHANGED = "changed"
    NOT_POSSIBLE = "not_possible"
    UNKNOWN = "unknown"


class BulkRow(Wire):
    """What became of one enrollment, and how it stands now; null where there is none."""

    enrollment_id: UUID
    outcome: BulkOutcome
    status: EnrollmentStatus | None


class BulkResult(Wire):
    """How many enrollments changed and how many could not, with a row for each that was asked for by its id."""

    changed: int
    unchanged: int
    results: list[BulkRow]
