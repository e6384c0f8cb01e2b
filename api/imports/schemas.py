"""Imports on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from ai.workflows.csv_mapping.state import DecidedBy, Target
from api.http.pagination import Wire
from api.people.leads.schemas import FieldName
from database.models import DuplicatePolicy
from domain.lead_import import ImportState


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
    """An uploaded file and what came of it; counts are null until a commit, or an undo, has begun."""

    id: UUID
    file_name: str
    state: ImportState
    list_name: str
    list_id: Annotated[UUID | None, Field(description="The list its leads join, made when the commit begins.")]
    duplicate_policy: DuplicatePolicy
    headers: list[str]
    mapping: list[ColumnOut]
    fallback_reason: Annotated[
        str | None, Field(description="Why no model was heard on the columns that the rules left open.")
    ]
    row_count: int
    processed_count: Annotated[int, Field(description="How many rows the commit, or the undo, has dealt with.")]
    new_count: int | None
    updated_count: int | None
    duplicate_in_file_count: int | None
    duplicate_in_workspace_count: int | None
    suppressed_count: int | None
    invalid_count: int | None
    removed_count: Annotated[int | None, Field(description="New leads that an undo took away.")]
    restored_count: Annotated[int | None, Field(description="Updated leads that an undo gave back their fields.")]
    kept_count: Annotated[int | None, Field(description="Leads that an undo left, changed or mailed since the commit.")]
    error: str | None
    committed_at: datetime | None
    undone_at: datetime | None
    expires_at: Annotated[
        datetime, Field(description="Until when the file is kept, and its commit can be undone: 30 days.")
    ]
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
    duplicate_policy: Annotated[
        DuplicatePolicy | None, Field(description="What to do with addresses known already; null leaves it.")
    ] = None
