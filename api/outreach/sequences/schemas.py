"""The JSON of sequences and their steps."""

from collections.abc import Sequence as Rows
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StrictBool

from api.http.pagination import UNCHANGED, Wire
from database.models import Sequence, SequenceStep
from domain.sequence import SequenceStatus

MAX_STEPS = 100

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Subject = Annotated[str, Field(max_length=500)]
BodyTemplate = Annotated[str, Field(max_length=50_000)]
Days = Annotated[int, Field(strict=True, ge=0, le=365)]
Hours = Annotated[int, Field(strict=True, ge=0, le=8760)]


class SequenceIn(Wire):
    """A new sequence, without steps yet."""

    name: Name
    auto_approve: StrictBool = False


class SequenceChange(Wire):
    """The fields to change; fields that you leave out stay the same. Drafts that wait for review keep waiting."""

    name: Name = UNCHANGED
    auto_approve: StrictBool = UNCHANGED


class StepIn(Wire):
    """A step to append: Liquid templates, and the delay after the previous step."""

    subject: Subject
    body_template: BodyTemplate
    delay_days: Days = 0
    delay_hours: Hours = 0


class StepChange(Wire):
    """The fields to change; fields that you leave out stay the same. Existing drafts do not change."""

    subject: Subject = UNCHANGED
    body_template: BodyTemplate = UNCHANGED
    delay_days: Days = UNCHANGED
    delay_hours: Hours = UNCHANGED


class StepOrder(Wire):
    """The ids of all steps of the sequence, once each, in their new order."""

    step_ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_STEPS)]


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
    """Why a guard has paused it; null if a user paused it."""
    auto_approve: bool
    created_at: datetime
    updated_at: datetime


class SequenceDetail(SequenceOut):
    """A sequence with its steps in order."""

    steps: list[StepOut]

    @classmethod
    def with_steps(cls, sequence: Sequence, steps: Rows[SequenceStep]) -> Self:
        """Return a sequence with its steps."""
        fields = SequenceOut.of(sequence).model_dump()
        return cls(**fields, steps=[StepOut.of(step) for step in steps])


class TrackingOut(Wire):
    """What is measured of a mail to a lead."""

    opens: bool
    clicks: bool
    country: Annotated[
        str | None,
        Field(
            description="The lead's country: by a custom field such as `country`, else its time zone, else the end of "
            "its address; null if it is unknown."
        ),
    ]


class StepPreview(Wire):
    """The mail of a step for a lead; a variable without value and default is shown as its name in brackets."""

    subject: str
    text: str
    html: str
    missing: list[str]
    """The variables without value and default; while there are any, the template alone makes no draft."""
    warnings: list[str]
    """What is left out of the mail, and why, and a greeting without a name."""
    tracking: TrackingOut
    """What would be measured of the mail."""


class Progress(Wire):
    """The numbers of enrollments and drafts of a sequence by status."""

    enrollments: dict[str, int]
    drafts: dict[str, int]
