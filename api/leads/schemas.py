"""Leads and lists on the wire."""

from datetime import datetime
from typing import Annotated, Self, TypeAlias
from uuid import UUID

from pydantic import Field, model_validator

from api.pagination import Wire
from api.suppressions.schemas import WITHOUT_NUL
from api.workspaces.schemas import EmailAddress, Timezone
from domain.lead import LeadSegment, LeadStatus

Line: TypeAlias = Annotated[str, Field(max_length=200, pattern=WITHOUT_NUL)]
ListName: TypeAlias = Annotated[str, Field(min_length=1, max_length=200, pattern=WITHOUT_NUL)]
FieldName: TypeAlias = Annotated[str, Field(min_length=1, max_length=100, pattern=WITHOUT_NUL)]
FieldValue: TypeAlias = Annotated[str, Field(max_length=10_000, pattern=WITHOUT_NUL)] | int | float | bool
MAX_CUSTOM_FIELDS = 200


class LeadListIn(Wire):
    """A new list."""

    name: ListName


class LeadListOut(Wire):
    """A named set of leads."""

    id: UUID
    name: str
    source_filename: str | None
    lead_count: int
    created_at: datetime
    updated_at: datetime


class LeadIn(Wire):
    """A new lead; the address is unique in the workspace, whatever its case."""

    email: EmailAddress
    first_name: Line = ""
    last_name: Line = ""
    company: Line = ""
    role: Line = ""
    segment: LeadSegment | None = None
    timezone: Timezone | None = None
    list_id: UUID | None = None
    custom_fields: Annotated[dict[FieldName, FieldValue], Field(default_factory=dict, max_length=MAX_CUSTOM_FIELDS)]


class LeadChange(Wire):
    """What to change in a lead; what is left out stays. A custom field set to null is removed, others stay."""

    email: EmailAddress | None = None
    first_name: Line | None = None
    last_name: Line | None = None
    company: Line | None = None
    role: Line | None = None
    segment: LeadSegment | None = None
    timezone: Timezone | None = None
    list_id: UUID | None = None
    custom_fields: Annotated[dict[FieldName, FieldValue | None], Field(max_length=MAX_CUSTOM_FIELDS)] | None = None

    @model_validator(mode="after")
    def _only_optional_fields_may_be_cleared(self) -> Self:
        cleared = {name for name in self.model_fields_set if getattr(self, name) is None}
        if kept := sorted(cleared - {"segment", "timezone", "list_id"}):
            raise ValueError(f"{', '.join(kept)} cannot be null; leave it out to keep it")
        return self


class LeadOut(Wire):
    """A lead."""

    id: UUID
    email: str
    first_name: str
    last_name: str
    company: str
    role: str
    segment: LeadSegment | None
    status: LeadStatus
    timezone: str | None
    list_id: UUID | None
    custom_fields: dict[str, str | int | float | bool | None]
    last_activity_at: datetime | None
    created_at: datetime
    updated_at: datetime
