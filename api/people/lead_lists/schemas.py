"""The request and response bodies of lead lists."""

from datetime import datetime
from typing import Annotated, TypeAlias
from uuid import UUID

from pydantic import Field

from api.http.pagination import Wire

ListName: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]


class LeadListIn(Wire):
    """A new list."""

    name: ListName


class LeadListChange(Wire):
    """The changes of a list."""

    name: ListName


class LeadListOut(Wire):
    """A named set of leads."""

    id: UUID
    name: str
    source_filename: str | None
    lead_count: int
    created_at: datetime
    updated_at: datetime
