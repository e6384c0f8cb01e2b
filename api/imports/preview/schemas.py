"""Previews on the wire."""

from typing import Any
from uuid import UUID

from pydantic.alias_generators import to_camel

from api.http.pagination import Wire
from domain.lead import LeadSegment

FieldValue = str | int | float | bool | None


class SampleValues(Wire):
    """What a row says of a lead; what is blank there changes nothing."""

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
    """One row of the file: its cells as they are, and what would become of it."""

    line_number: int
    cells: list[str]
    email: str | None
    reason: str | None
    first_line: int | None
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


class Preview(Wire):
    """What a commit would do now: how many rows would come to what, which add up to `rowCount`, and some of each."""

    row_count: int
    new: int
    updated: int
    duplicate_in_file: int
    duplicate_in_workspace: int
    suppressed: int
    invalid: int
    samples: PreviewSamples


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[FieldDifference]:
    """Return the fields in which a lead would change."""
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
