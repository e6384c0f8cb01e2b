"""What rows that are given for addresses make of them: new leads, and changes to those that are leads already."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from database.models import DuplicatePolicy
from domain.lead_import import LEAD_FIELDS

FIELDS = (*LEAD_FIELDS, "list_id")
MAX_CUSTOM_FIELDS = 200

Values = Mapping[str, Any]
"""A lead's values by the names of its columns: its address, FIELDS and `custom_fields`."""


class RowStatus(StrEnum):
    """What became of one row."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    EXISTS = "exists"
    INVALID = "invalid"


@dataclass(slots=True)
class MergedRows:
    """What rows come to: of each its status, and of each address what it has in the end and whether that is news."""

    statuses: dict[int, RowStatus] = field(default_factory=dict)
    new: dict[str, Values] = field(default_factory=dict)
    changed: dict[str, Values] = field(default_factory=dict)


def merge_rows(rows: Iterable[tuple[int, Values]], held: Mapping[str, Values], policy: DuplicatePolicy) -> MergedRows:
    """Apply rows in their order to what is held by address; a row may meet what an earlier one has made."""
    folded = MergedRows()
    for index, given in rows:
        email = given["email"]
        before = folded.new.get(email) or folded.changed.get(email) or held.get(email)
        if before is None:
            folded.new[email], folded.statuses[index] = given, RowStatus.CREATED
            continue
        after = merge_values(before, given, policy)
        if policy is DuplicatePolicy.SKIP:
            folded.statuses[index] = RowStatus.EXISTS
        elif len(after["custom_fields"]) > MAX_CUSTOM_FIELDS:
            folded.statuses[index] = RowStatus.INVALID
        elif _told(after) == _told(before):
            folded.statuses[index] = RowStatus.UNCHANGED
        else:
            folded.statuses[index] = RowStatus.UPDATED
            (folded.new if email in folded.new else folded.changed)[email] = after
    return folded


def merge_values(held: Values, given: Values, policy: DuplicatePolicy) -> Values:
    """Return what a lead has after a row: `fill` only adds, `overwrite` replaces; a blank takes nothing away."""
    if policy is DuplicatePolicy.SKIP:
        return held
    under, over = (given, held) if policy is DuplicatePolicy.FILL else (held, given)
    values: dict[str, Any] = {name: over[name] or under[name] for name in FIELDS}
    values["custom_fields"] = {**under["custom_fields"], **over["custom_fields"]}
    return {"email": held["email"], **values}


def _told(values: Values) -> Values:
    """Return values so that they differ where their JSON does: Python takes `true` for 1."""
    custom = {name: (type(value), value) for name, value in values["custom_fields"].items()}
    return {**values, "custom_fields": custom}
