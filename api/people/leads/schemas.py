"""The request and response bodies of leads."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    StrictBool,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from api.http.errors import FieldProblem
from api.http.fields import WITHOUT_NUL, EmailAddress, FieldName, Timezone
from api.http.pagination import UNCHANGED, Filter, Wire
from api.people.leads.merging import MAX_CUSTOM_FIELDS, RowStatus
from database.models import DuplicatePolicy
from domain.lead import MAX_LINE_CHARACTERS, LeadSegment, LeadStatus


def _no_whole(value: object) -> object:
    if isinstance(value, int):
        raise ValueError("a whole number this large cannot be stored exactly")  # noqa: TRY004 - pydantic reports a ValueError as a problem of the field
    return value


Line: TypeAlias = Annotated[str, Field(max_length=MAX_LINE_CHARACTERS, pattern=WITHOUT_NUL)]
# The integers that every JSON parser reads exactly.
Whole: TypeAlias = Annotated[int, Field(strict=True, ge=-(2**53) + 1, le=2**53 - 1)]
Fraction: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False), BeforeValidator(_no_whole)]
FieldValue: TypeAlias = Annotated[str, Field(max_length=10_000, pattern=WITHOUT_NUL)] | StrictBool | Whole | Fraction
MOST_ROWS = 1000


class LeadSort(StrEnum):
    """The sort orders of leads."""

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
    """The filters of leads; a lead must match all of them."""

    status: LeadStatus | None = None
    segment: LeadSegment | None = None
    list_id: UUID | None = None
    q: Annotated[str | None, Field(max_length=200, description="Part of a name, address, company or role.")] = None
    updated_since: Annotated[
        AwareDatetime | None, Field(description="With `sort=updatedAt` this is the cheapest way to follow changes.")
    ] = None


class LeadIn(Wire):
    """A new lead; the address is unique in the workspace, in any case."""

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
    """The changes of a lead; fields that are left out stay unchanged. A custom field of null is removed."""

    email: EmailAddress = UNCHANGED
    first_name: Line = UNCHANGED
    last_name: Line = UNCHANGED
    company: Line = UNCHANGED
    role: Line = UNCHANGED
    segment: LeadSegment | None = None
    timezone: Timezone | None = None
    list_id: UUID | None = None
    custom_fields: Annotated[dict[FieldName, FieldValue | None], Field(max_length=MAX_CUSTOM_FIELDS)] = UNCHANGED


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
    """A lead, and whether its address is suppressed."""

    suppressed: Annotated[bool, Field(description="Whether its address or its domain is suppressed.")]


def _accept_any(value: Any, _validate: ValidatorFunctionWrapHandler) -> Any:
    """Accept any row, because the endpoint validates each row by itself; OpenAPI shows the schema of a valid row."""
    return value


class BulkLeadsIn(Wire):
    """Leads to create, and what to do with an address that a lead already has or that is given twice."""

    leads: Annotated[list[Annotated[LeadIn, WrapValidator(_accept_any)]], Field(max_length=MOST_ROWS)]
    on_existing: Annotated[
        DuplicatePolicy,
        Field(
            description="`skip` leaves the lead unchanged, `fill` sets only its blank fields, `overwrite` replaces its "
            "fields; a blank value removes nothing."
        ),
    ] = DuplicatePolicy.SKIP


class BulkRow(Wire):
    """The result of one row; `errors` are the problems of an invalid row, with locations within the row."""

    index: int
    status: RowStatus
    lead_id: UUID | None
    errors: list[FieldProblem]


class BulkLeadsOut(Wire):
    """The result of each row, in order."""

    results: list[BulkRow]


class TimelineKind(StrEnum):
    """The kind of an event of a lead."""

    LEAD_CREATED = "lead_created"
    LEAD_MOVED = "lead_moved"
    ENROLLED = "enrolled"
    ENROLLMENT_MOVED = "enrollment_moved"
    DRAFT_CREATED = "draft_created"
    DRAFT_SENT = "draft_sent"
    DRAFT_FAILED = "draft_failed"
    EMAIL_SENT = "email_sent"
    EMAIL_DELIVERED = "email_delivered"
    EMAIL_OPENED = "email_opened"
    EMAIL_CLICKED = "email_clicked"
    EMAIL_BOUNCED = "email_bounced"
    EMAIL_COMPLAINED = "email_complained"
    EMAIL_UNSUBSCRIBED = "email_unsubscribed"
    REPLY_RECEIVED = "reply_received"
    SUPPRESSED = "suppressed"
    SUPPRESSION_REMOVED = "suppression_removed"


class TimelineItem(Wire):
    """One event of a lead."""

    id: Annotated[str, Field(description="Unique and stable within the timeline.")]
    at: datetime
    kind: Annotated[
        TimelineKind,
        Field(
            description="`draft_…` are our steps with a message, `email_…` are events from the provider; "
            "`lead_moved` and `enrollment_moved` are changes of status."
        ),
    ]
    title: Annotated[
        str | None, Field(description="The subject of a message, the name of a sequence, or the old and new status.")
    ]
    data: Annotated[
        dict[str, str | int | bool | None],
        Field(
            description="Details by kind. `lead_created`: listId. `lead_moved`: from, to, event, cause. "
            "`enrolled`: enrollmentId, sequenceId. `enrollment_moved`: the fields of both. `draft_…`: draftId, "
            "enrollmentId, sequenceId, stepOrder, errorReason. `email_…`: eventId, draftId, verdict, bounceType, "
            "bounceKind, reportedAt (see the event), url. "
            "`reply_received`: replyId, draftId, intent, isAutomatic. `suppressed`: kind (email or domain), reason, "
            "source, scope. `suppression_removed`: kind, reason, removedBecause, removedBy, scope."
        ),
    ]
