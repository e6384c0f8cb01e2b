"""Merges rows into leads by address: new leads, and changes of existing leads."""

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
    """The result of one row."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    EXISTS = "exists"
    INVALID = "invalid"


@dataclass(slots=True)
class MergedRows:
    """The result of rows: the status of each row, and the final values of each new or changed address."""

    statuses: dict[int, RowStatus] = field(default_factory=dict)
    new: dict[str, Values] = field(default_factory=dict)
    changed: dict[str, Values] = field(default_factory=dict)


def merge_rows(rows: Iterable[tuple[int, Values]], stored: Mapping[str, Values], policy: DuplicatePolicy) -> MergedRows:
    """Apply rows in order to the stored leads by address; a row may change what an earlier row has created."""
    merged = MergedRows()
    for index, given in rows:
        email = given["email"]
        before = merged.new.get(email) or merged.changed.get(email) or stored.get(email)
        if before is None:
            merged.new[email], merged.statuses[index] = given, RowStatus.CREATED
            continue
        after = merge_values(before, given, policy)
        if policy is DuplicatePolicy.SKIP:
            merged.statuses[index] = RowStatus.EXISTS
        elif len(after["custom_fields"]) > MAX_CUSTOM_FIELDS:
            merged.statuses[index] = RowStatus.INVALID
        elif _typed(after) == _typed(before):
            merged.statuses[index] = RowStatus.UNCHANGED
        else:
            merged.statuses[index] = RowStatus.UPDATED
            (merged.new if email in merged.new else merged.changed)[email] = after
    return merged


def merge_values(stored: Values, given: Values, policy: DuplicatePolicy) -> Values:
    """Return the values of a lead after a row: `fill` adds, `overwrite` replaces; a blank removes nothing."""
    if policy is DuplicatePolicy.SKIP:
        return stored
    under, over = (given, stored) if policy is DuplicatePolicy.FILL else (stored, given)
    values: dict[str, Any] = {name: over[name] or under[name] for name in FIELDS}
    values["custom_fields"] = {**under["custom_fields"], **over["custom_fields"]}
    return {"email": stored["email"], **values}


def _typed(values: Values) -> Values:
    """Return values that differ if their JSON differs: in Python `True == 1`."""
    custom = {name: (type(value), value) for name, value in values["custom_fields"].items()}
    return {**values, "custom_fields": custom}
