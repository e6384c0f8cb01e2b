"""Sequences and their steps on the wire."""

from collections.abc import Sequence as Rows
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StrictBool, model_validator

from api.http.pagination import Wire
from database.models import Sequence, SequenceStep
from domain.sequence import SequenceStatus

MOST_STEPS = 100

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Subject = Annotated[str, Field(max_length=500)]
BodyTemplate = Annotated[str, Field(max_length=50_000)]
Days = Annotated[int, Field(strict=True, ge=0, le=365)]
Hours = Annotated[int, Field(strict=True, ge=0, le=8760)]


class SequenceIn(Wire):
    """A new sequence, without steps yet."""

    name: Name
    auto_approve: StrictBool = False


class _Change(Wire):
    @model_validator(mode="after")
    def _not_cleared(self) -> Self:
        if cleared := sorted(name for name in self.model_fields_set if getattr(self, name) is None):
            raise ValueError(f"{', '.join(cleared)} cannot be null; leave it out to keep it")
        return self


class SequenceChange(_Change):
    """What to change in a sequence; what is left out stays. Drafts that wait for review go on waiting."""

    name: Name | None = None
    auto_approve: StrictBool | None = None


class StepIn(Wire):
    """A step to append: Liquid templates, and how long after the step before it goes out."""

    subject: Subject
    body_template: BodyTemplate
    delay_days: Days = 0
    delay_hours: Hours = 0


class StepChange(_Change):
    """What to change in a step; what is left out stays. What was drafted from it stays as it was written."""

    subject: Subject | None = None
    body_template: BodyTemplate | None = None
    delay_days: Days | None = None
    delay_hours: Hours | None = None


class StepOrder(Wire):
    """The steps of a sequence in their new order: all of them, once each."""

    step_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_STEPS)]


class StepOut(StepIn):
    """A step of a sequence."""

    id: UUID
    step_order: int


class SequenceOut(Wire):
    """A sequence."""

    id: UUID
    name: str
    status: SequenceStatus
    pause_reason: str | None
    """Why it is paused, where a guard did it and no person."""
    auto_approve: bool
    created_at: datetime
    updated_at: datetime


class SequenceDetail(SequenceOut):
    """A sequence with its steps in order."""

    steps: list[StepOut]

    @classmethod
    def with_steps(cls, sequence: Sequence, steps: Rows[SequenceStep]) -> Self:
        """Return a sequence and its steps as they are shown."""
        shown = SequenceOut.of(sequence).model_dump()
        return cls(**shown, steps=[StepOut.of(step) for step in steps])


class StepPreview(Wire):
    """A step as a lead would get it; a variable without value and default is shown by its name in brackets."""

    subject: str
    text: str
    html: str
    missing: list[str]
    """The variables without value and default; while there is one, no draft is made of the template alone."""


class Progress(Wire):
    """How far a sequence has come: enrollments and drafts by status, as they are now."""

    enrollments: dict[str, int]
    drafts: dict[str, int]
