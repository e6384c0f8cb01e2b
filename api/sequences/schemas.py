"""Sequences and their steps on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.pagination import Wire
from database.models import SequenceStatus

Subject = Annotated[str, Field(max_length=500)]
BodyTemplate = Annotated[str, Field(max_length=50_000)]


class SequenceIn(Wire):
    """A new sequence, without steps yet."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    auto_approve: bool = False


class StepIn(Wire):
    """A step to append: Liquid templates, and how long after the step before it goes out."""

    subject: Subject
    body_template: BodyTemplate
    delay_days: Annotated[int, Field(ge=0, le=365)] = 0
    delay_hours: Annotated[int, Field(ge=0, le=8760)] = 0


class StepOut(StepIn):
    """A step of a sequence."""

    id: UUID
    step_order: int


class SequenceOut(Wire):
    """A sequence."""

    id: UUID
    name: str
    status: SequenceStatus
    auto_approve: bool
    created_at: datetime
    updated_at: datetime


class SequenceDetail(SequenceOut):
    """A sequence with its steps in order."""

    steps: list[StepOut]


class Progress(Wire):
    """How far a sequence has come: enrollments and drafts by status, as they are now."""

    enrollments: dict[str, int]
    drafts: dict[str, int]
