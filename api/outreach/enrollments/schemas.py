"""The JSON of enrollments and of bulk changes."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from api.http.pagination import Wire
from api.outreach.sequences.schemas import TrackingOut
from domain.enrollment import EnrollmentStatus
from domain.schedule import Constraint

MAX_LEADS = 100_000
MAX_ENROLLMENTS = 10_000

Sentence = Annotated[str, Field(min_length=1, max_length=500)]


class EnrollIn(Wire):
    """The leads to enroll in a sequence: by id, or all leads of a list."""

    sequence_id: UUID
    lead_ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_LEADS)] | None = None
    list_id: UUID | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.lead_ids is None) == (self.list_id is None):
            raise ValueError("set either leadIds or listId")
        return self


class EnrollResult(Wire):
    """How many leads were enrolled, and how many were skipped, by reason."""

    enrolled: int
    skipped: dict[str, int]


class EnrollmentOut(Wire):
    """A lead that goes through a sequence."""

    id: UUID
    lead_id: UUID
    sequence_id: UUID
    current_step_order: int
    """The position of the current step when it was scheduled; `explain` returns its current position."""
    status: EnrollmentStatus
    pause_reason: str | None
    resume_at: datetime | None
    next_run_at: datetime | None
    enrolled_at: datetime
    completed_at: datetime | None


class StopIn(Wire):
    """Why the enrollment is stopped."""

    reason: Sentence | None = None


class BulkAction(StrEnum):
    """A change to many enrollments."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


class BulkIn(Wire):
    """The enrollments to change: by id, or those of a sequence, in one status if it is given."""

    action: BulkAction
    enrollment_ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_ENROLLMENTS)] | None = None
    sequence_id: UUID | None = None
    status: Annotated[
        EnrollmentStatus | None, Field(description="With sequenceId: only enrollments in this status.")
    ] = None
    reason: Sentence | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.enrollment_ids is None) == (self.sequence_id is None):
            raise ValueError("set either enrollmentIds or sequenceId")
        if self.status is not None and self.sequence_id is None:
            raise ValueError("status is only allowed with sequenceId")
        return self


class BulkOutcome(StrEnum):
    """The result for one enrollment of a bulk change."""

    CHANGED = "changed"
    NOT_POSSIBLE = "not_possible"
    UNKNOWN = "unknown"


class BulkRow(Wire):
    """The result for one enrollment, and its current status; null if there is no such enrollment."""

    enrollment_id: UUID
    outcome: BulkOutcome
    status: EnrollmentStatus | None


class BulkResult(Wire):
    """How many enrollments changed and how many did not, with a result for each requested id."""

    changed: int
    unchanged: int
    results: list[BulkRow]


class ConsideredOut(Wire):
    """A constraint, and the time to which it defers the mail; null if it does not defer it."""

    constraint: Constraint
    at: datetime | None


class Explanation(Wire):
    """When the next step will be sent, and what defers or stops it.

    `sendsAt` is when it will be sent once nothing stops it; null when there is nothing to send.
    """

    status: EnrollmentStatus
    step_order: int
    step_id: UUID | None
    draft_id: UUID | None
    sends_at: datetime | None
    binding: Constraint | None
    considered: list[ConsideredOut]
    """Every constraint: first those that defer the time, in order, then the others."""
    held_by: str | None
    """What stops it for now, such as a pause; null when only its time is not reached."""
    holds: list[str]
    """The same as `heldBy`, as a list of sentences."""
    tracking: TrackingOut | None
    """What would be measured of the mail; null when there is nothing to send."""
