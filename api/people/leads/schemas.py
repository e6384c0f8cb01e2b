"""Leads on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self, TypeAlias
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    StrictBool,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from api.accounts.workspaces.schemas import EmailAddress, Timezone
from api.http.errors import FieldProblem
from api.http.pagination import Filter, Wire
from api.people.leads.merging import MAX_CUSTOM_FIELDS, RowStatus
from api.people.suppressions.schemas import WITHOUT_NUL
from database.models import DuplicatePolicy
from domain.lead import LeadSegment, LeadStatus


def _no_whole(value: object) -> object:
    if isinstance(value, int):
        raise ValueError("a whole number this large cannot be stored exactly")  # noqa: TRY004 - pydantic takes it for its own
    return value


MAX_LINE_CHARACTERS = 200
"""The longest name, company or role of a lead."""
MAX_NAME_CHARACTERS = 100
"""The longest name of a custom field."""

Line: TypeAlias = Annotated[str, Field(max_length=MAX_LINE_CHARACTERS, pattern=WITHOUT_NUL)]
FieldName: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS, pattern=WITHOUT_NUL)]
# Whole numbers as far as every reader of JSON has them exactly.
Whole: TypeAlias = Annotated[int, Field(strict=True, ge=-(2**53) + 1, le=2**53 - 1)]
Fraction: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False), BeforeValidator(_no_whole)]
FieldValue: TypeAlias = Annotated[str, Field(max_length=10_000, pattern=WITHOUT_NUL)] | StrictBool | Whole | Fraction
MOST_ROWS = 1000


class LeadSort(StrEnum):
    """What a list of leads may be sorted by."""

    NEWEST = "-createdAt"
    OLDEST = "createdAt"
    LAST_UPDATED = "-updatedAt"
    FIRST_UPDATED = "updatedAt"
    EMAIL = "email"
    EMAIL_DESCENDING = "-email"
    LAST_NAME = "lastName"
    LAST_NAME_DESCENDING = "-lastName"
    COMPANY = "company"
    COMPANY_DESCENDING = "-company"


class LeadFilter(Filter):
    """Which leads a list is to show; all that is given must hold."""

    status: LeadStatus | None = None
    segment: LeadSegment | None = None
    list_id: UUID | None = None
    q: Annotated[str | None, Field(max_length=200, description="Part of a name, address, company or role.")] = None
    updated_since: Annotated[
        AwareDatetime | None, Field(description="With `sort=updatedAt` this follows changes at the least cost.")
    ] = None


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


class LeadDetail(LeadOut):
    """A lead, and whether it may be mailed at all."""

    suppressed: Annotated[bool, Field(description="Whether its address, or the whole domain, must not be mailed.")]


def _as_it_came(value: Any, _validate: ValidatorFunctionWrapHandler) -> Any:
    """Leave a row to be judged by itself; in the contract it is what it should be."""
    return value


class BulkLeadsIn(Wire):
    """Leads to add together, and what to do with an address that is a lead already, or is given twice."""

    leads: Annotated[list[Annotated[LeadIn, WrapValidator(_as_it_came)]], Field(max_length=MOST_ROWS)]
    on_existing: Annotated[
        DuplicatePolicy,
        Field(
            description="`skip` leaves the lead as it is, `fill` gives it what it lacks, `overwrite` replaces what it "
            "has; a blank takes nothing away."
        ),
    ] = DuplicatePolicy.SKIP


class BulkRow(Wire):
    """What became of one row; `errors` say what is wrong with one that is invalid, by places within the row."""

    index: int
    status: RowStatus
    lead_id: UUID | None
    errors: list[FieldProblem]


class BulkLeadsOut(Wire):
    """What became of each row, in their order."""

    results: list[BulkRow]
