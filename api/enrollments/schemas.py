"""Enrollments on the wire."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from api.pagination import Wire
from domain.enrollment import EnrollmentStatus
from domain.schedule import Constraint

MOST_LEADS = 10_000


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
    status: EnrollmentStatus
    pause_reason: str | None
    resume_at: datetime | None
    next_run_at: datetime | None
    enrolled_at: datetime
    completed_at: datetime | None


class ConsideredOut(Wire):
    """A constraint that moved the time, and where to."""

    constraint: Constraint
    at: datetime


class Explanation(Wire):
    """When the next step goes out, and what holds it until then."""

    status: EnrollmentStatus
    step_order: int
    sends_at: datetime | None
    binding: Constraint | None
    considered: list[ConsideredOut]
    held_by: str | None
    """What keeps it from being sent at all for now, such as a pause; null when only time does."""
