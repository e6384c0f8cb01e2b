"""The request and response bodies of imports."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from pydantic.alias_generators import to_camel

from ai.workflows.csv_mapping.state import DecidedBy, Target
from api.http.fields import FieldName
from api.http.pagination import Wire
from database.models import DuplicatePolicy
from domain.lead import LeadSegment
from domain.lead_import import ImportState
from domain.suppression import SuppressionReason

FieldValue = str | int | float | bool | None


class ColumnOut(Wire):
    """The target of one column of the file, the confidence in it, and the sample values it is based on."""

    position: int
    header: str
    target: Target
    custom_name: str | None
    confidence: float
    decided_by: DecidedBy
    samples: list[str]


class EncodingOut(Wire):
    """The encoding of a text file; if it is not sure, compare the samples and upload the file with `encoding`."""

    name: str
    is_sure: bool
    samples: Annotated[list[str], Field(description="Some cells with letters beyond ASCII, as they were read.")]


class ImportOut(Wire):
    """An uploaded file and its progress; counts are null until a commit or an undo has begun."""

    id: UUID
    file_name: str
    state: ImportState
    list_name: str
    list_id: Annotated[UUID | None, Field(description="The list that its leads join, created when the commit begins.")]
    duplicate_policy: DuplicatePolicy
    headers: list[str]
    mapping: list[ColumnOut]
    encoding: Annotated[EncodingOut | None, Field(description="Null for a workbook.")]
    fallback_reason: Annotated[
        str | None, Field(description="Why no model was used for the columns that the rules did not recognise.")
    ]
    row_count: int
    processed_count: Annotated[int, Field(description="How many rows the commit or the undo has processed.")]
    new_count: int | None
    updated_count: int | None
    duplicate_in_file_count: int | None
    duplicate_in_workspace_count: int | None
    suppressed_count: int | None
    invalid_count: int | None
    opted_out_count: Annotated[
        int,
        Field(
            description="Rows with an address that the file says not to mail, in a column with the target `optOut`. "
            "A commit suppresses these addresses and makes no leads of them; an undo does not remove the suppressions."
        ),
    ]
    unknown_timezone_count: Annotated[
        int,
        Field(
            description="Rows whose time zone is not clear, such as `GMT+2` or `CST`. Emails to their leads follow the "
            "workspace's time zone; `errors.csv` lists the rows."
        ),
    ]
    removed_count: Annotated[int | None, Field(description="New leads that an undo removed.")]
    restored_count: Annotated[int | None, Field(description="Updated leads whose fields an undo restored.")]
    kept_count: Annotated[
        int | None, Field(description="Leads that an undo kept because they were changed or mailed since the commit.")
    ]
    error: str | None
    committed_at: datetime | None
    undone_at: datetime | None
    expires_at: Annotated[
        datetime, Field(description="When the file is deleted, after which its commit cannot be undone: 30 days.")
    ]
    created_at: datetime
    updated_at: datetime


class ColumnIn(Wire):
    """The target of one column; a custom field without a name is named after the column's header."""

    position: Annotated[int, Field(ge=0)]
    target: Target
    custom_name: FieldName | None = None


class MappingIn(Wire):
    """The target of every column of the file: each position once, one email column."""

    columns: Annotated[list[ColumnIn], Field(min_length=1, max_length=500)]
    duplicate_policy: Annotated[
        DuplicatePolicy | None,
        Field(description="What to do with addresses that leads already have; null leaves the policy unchanged."),
    ] = None


class SampleValues(Wire):
    """The values of a row; a blank value changes nothing."""

    first_name: str
    last_name: str
    company: str
    role: str
    segment: LeadSegment | None
    timezone: str | None
    custom_fields: dict[str, FieldValue]


class FieldDifference(Wire):
    """A field of a lead that the row would change.

    Custom fields are named `customFields.<name>`; `list` is the name of the list that the lead would join.
    """

    field: str
    before: FieldValue
    after: FieldValue


class PreviewRow(Wire):
    """One row of the file: its original cells, and what a commit would do with it."""

    line_number: int
    cells: list[str]
    email: str | None
    reason: str | None
    first_line: int | None
    opt_out: Annotated[
        SuppressionReason | None, Field(description="Why the file says, in any row with this address, not to mail it.")
    ]
    unknown_timezone: Annotated[
        bool, Field(description="Whether the time zone of the row is not clear; `values.timezone` is null then.")
    ]
    lead_id: UUID | None
    values: SampleValues | None
    differences: list[FieldDifference]


class PreviewSamples(Wire):
    """The first ten rows of each outcome."""

    new: list[PreviewRow]
    updated: list[PreviewRow]
    duplicate_in_file: list[PreviewRow]
    duplicate_in_workspace: list[PreviewRow]
    suppressed: list[PreviewRow]
    invalid: list[PreviewRow]


class OptOutCounts(Wire):
    """The number of rows with an address that the file says not to mail, by the reason of the suppression."""

    unsubscribed: int = 0
    hard_bounce: int = 0
    complaint: int = 0


class Preview(Wire):
    """What a commit would do now: the number of rows of each outcome, which add up to `rowCount`, and samples."""

    row_count: int
    new: int
    updated: int
    duplicate_in_file: int
    duplicate_in_workspace: int
    suppressed: int
    invalid: int
    opted_out: Annotated[OptOutCounts, Field(description="The opt-outs that the commit would store as suppressions.")]
    unknown_timezone: Annotated[
        int, Field(description="Rows whose time zone is not clear; they are also counted by their outcome.")
    ]
    samples: PreviewSamples


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[FieldDifference]:
    """Return the fields of a lead that would change."""
    old, new = _flat(before), _flat(after)
    return [
        FieldDifference(field=name, before=old.get(name), after=value)
        for name, value in new.items()
        if old.get(name) != value
    ]


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    custom = {f"customFields.{name}": value for name, value in fields.get("custom_fields", {}).items()}
    plain = {to_camel(name): value for name, value in fields.items() if name != "custom_fields"}
    return plain | custom


class KeptLead(Wire):
    """A lead that an undo kept, its line in the file, and the reason: changed or mailed since the commit."""

    id: UUID
    email: str
    line_number: int
    kept_because: Literal["changed", "mailed"]
