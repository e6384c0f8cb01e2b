"""The SQL of what becomes of each row of a file, which a preview counts and a commit writes."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    case,
    column,
    func,
    literal,
    or_,
    select,
    table,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.selectable import LateralFromClause

from database.conditions import is_suppressed
from database.landing import copy_into_landing, create_landing_table
from database.models import DuplicatePolicy, Lead, LeadImportRow
from domain.lead_import import LEAD_FIELDS


class Outcome(StrEnum):
    """What becomes of one row of a file."""

    NEW = "new"
    UPDATED = "updated"
    DUPLICATE_IN_FILE = "duplicate_in_file"
    DUPLICATE_IN_WORKSPACE = "duplicate_in_workspace"
    SUPPRESSED = "suppressed"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Plan:
    """How the rows of a file become leads, and what to do with addresses that leads already have."""

    workspace_id: UUID
    import_id: UUID
    list_id: UUID | None
    first_lead_id: UUID | None
    policy: DuplicatePolicy
    default_segment: str | None


VALUES = (*LEAD_FIELDS, "custom_fields")
_VALUES_TABLE = (
    "line_number int PRIMARY KEY, " + ", ".join(f"{name} text" for name in LEAD_FIELDS) + ", custom_fields jsonb"
)
_EMPTY = text("TRUNCATE landing")
FILE_VALUES = table(
    "landing",
    column("line_number", Integer),
    *(column(name, Text) for name in LEAD_FIELDS),
    column("custom_fields", JSONB),
)
"""The values of some rows, as the file has them."""
KNOWN = "known"
"""The outcome of a row whose address a lead has, until its values are compared with the lead's."""


async def create_values_table(session: AsyncSession) -> None:
    """Create the temporary table FILE_VALUES for this transaction."""
    await create_landing_table(session, _VALUES_TABLE)


async def copy_values(session: AsyncSession, values: bytes) -> None:
    """Replace what FILE_VALUES holds with CSV of (line number, LEAD_FIELDS, custom fields)."""

    async def block() -> AsyncIterator[bytes]:
        yield values

    await session.execute(_EMPTY)
    await copy_into_landing(session, block())


def select_known_leads(plan: Plan) -> LateralFromClause:
    """Return the lead that has a row's address, as a lateral query."""
    # Lateral: the planner estimates that a file has two rows, and a plain join would compare each row with each lead.
    row = LeadImportRow
    columns = [getattr(Lead, name) for name in ("id", "list_id", "updated_at", *VALUES)]
    own = and_(Lead.workspace_id == plan.workspace_id, Lead.email == row.email, Lead.deleted_at.is_(None))
    return select(*columns).where(own).limit(1).correlate(row).lateral("lead")


def select_outcomes(
    plan: Plan, lines: tuple[int, int] | None, lead: FromClause, differs: ColumnElement[bool] | None
) -> Select[Any]:
    """Select rows joined to the leads that have their addresses, each with its outcome.

    Without `differs`, the outcome of a row whose address a lead has is KNOWN.
    """
    row = LeadImportRow
    known: ColumnElement[Any] = literal(KNOWN) if differs is None else select_differences(differs)
    outcome = case(
        (row.email.is_(None), Outcome.INVALID.value),
        (row.opt_out.is_not(None), Outcome.SUPPRESSED.value),
        (is_suppressed(plan.workspace_id, row.email), Outcome.SUPPRESSED.value),
        (row.first_line.is_not(None), Outcome.DUPLICATE_IN_FILE.value),
        (lead.c.id.is_(None), Outcome.NEW.value),
        else_=known,
    )
    return (
        select(row.line_number, row.email, outcome.label("outcome"))
        .select_from(row)
        .outerjoin(lead, true() if isinstance(lead, LateralFromClause) else lead.c.email == row.email)
        .where(*block_conditions(plan, lines))
    )


def select_differences(differs: ColumnElement[bool]) -> ColumnElement[str]:
    """Return the outcome of a row whose address a lead has; `differs` says whether the row would change the lead."""
    return case((differs, Outcome.UPDATED.value), else_=Outcome.DUPLICATE_IN_WORKSPACE.value)


def block_conditions(plan: Plan, lines: tuple[int, int] | None) -> list[ColumnElement[bool]]:
    """Return the conditions that select all rows of the file, or those between two lines."""
    row = LeadImportRow
    conditions = [row.workspace_id == plan.workspace_id, row.import_id == plan.import_id]
    return [*conditions, row.line_number.between(*lines)] if lines is not None else conditions


def merge_values(plan: Plan, lead: FromClause) -> dict[str, ColumnElement[Any]]:
    """Return the new value of each field of a lead; a blank cell never removes a value."""
    fills = plan.policy is DuplicatePolicy.FILL
    fields: dict[str, ColumnElement[Any]] = {}
    for name in LEAD_FIELDS:
        first, second = (lead.c[name], FILE_VALUES.c[name]) if fills else (FILE_VALUES.c[name], lead.c[name])
        fields[name] = func.coalesce(func.nullif(first, ""), second)
    stored = lead.c.custom_fields
    under, over = (file_custom_fields(), stored) if fills else (stored, file_custom_fields())
    fields["custom_fields"] = under.op("||")(over)
    fields["list_id"] = func.coalesce(lead.c.list_id, literal(plan.list_id, PG_UUID))
    return fields


def file_custom_fields() -> ColumnElement[Any]:
    """Return the custom fields of a row of the file, without blank ones."""
    return func.jsonb_strip_nulls(FILE_VALUES.c.custom_fields, type_=JSONB)


def has_changes(after: Mapping[str, ColumnElement[Any]], plan: Plan, lead: FromClause) -> ColumnElement[bool]:
    """Return whether any value of a lead changes."""
    if plan.policy is DuplicatePolicy.SKIP:
        return literal(value=False)
    return or_(*(value.is_distinct_from(lead.c[name]) for name, value in after.items()))
