"""Imports on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from ai.workflows.csv_mapping.state import DecidedBy, Target
from api.leads.schemas import FieldName
from api.pagination import Wire
from database.models import DuplicatePolicy, ImportState


class ColumnOut(Wire):
    """What one column of the file is taken for, how sure that is, and the values that convinced."""

    position: int
    header: str
    target: Target
    custom_name: str | None
    confidence: float
    decided_by: DecidedBy
    samples: list[str]


class ImportOut(Wire):
    """An uploaded file and what came of it; the counts are null until it is committed."""

    id: UUID
    file_name: str
    state: ImportState
    list_id: UUID | None
    duplicate_policy: DuplicatePolicy
    headers: list[str]
    mapping: list[ColumnOut]
    row_count: int
    new_count: int | None
    updated_count: int | None
    duplicate_count: int | None
    suppressed_count: int | None
    invalid_count: int | None
    error: str | None
    committed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ColumnIn(Wire):
    """What a person takes one column for; a custom field without a name is called by the column's header."""

    position: Annotated[int, Field(ge=0)]
    target: Target
    custom_name: FieldName | None = None


class MappingIn(Wire):
    """What every column of the file is: each position once, one email column."""

    columns: Annotated[list[ColumnIn], Field(min_length=1, max_length=500)]


class Preview(Wire):
    """What a commit would do now: how many rows would come to what."""

    row_count: int
    new: int
    updated: int
    duplicate: int
    suppressed: int
    invalid: int
