"""The SQL of what a file's rows do to leads: judged all at once, written a block in one statement each."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    any_,
    case,
    column,
    delete,
    func,
    literal,
    or_,
    select,
    table,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.selectable import LateralFromClause

from api.imports.values import FIELDS
from database.conditions import is_suppressed
from database.landing import copy_into_landing, create_landing_table
from database.models import DuplicatePolicy, Lead, LeadImportChange, LeadImportRow


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
    """How the rows of a file become leads, and what to do with addresses known already."""

    workspace_id: UUID
    import_id: UUID
    list_id: UUID | None
    first_lead_id: UUID | None
    policy: DuplicatePolicy
    default_segment: str | None


@dataclass(frozen=True, slots=True)
class WrittenBlock:
    """What writing one block came to: how many rows of each outcome, and how many leads joined the list by it."""

    counts: Mapping[Outcome, int]
    joined: int


_VALUES = (*FIELDS, "custom_fields")
_LANDED = "line_number int PRIMARY KEY, " + ", ".join(f"{name} text" for name in FIELDS) + ", custom_fields jsonb"
_EMPTY = text("TRUNCATE landing")
GIVEN = table(
    "landing",
    column("line_number", Integer),
    *(column(name, Text) for name in FIELDS),
    column("custom_fields", JSONB),
)

_NEW_LEAD_IDS = text("SELECT app.imported_lead_id(app.uuidv7(), 0)")
_ANALYZE = text("SELECT app.analyze_leads()")
KNOWN = "known"
"""Of a row whose address is a lead's, until its values are compared with the lead's."""


async def refresh_figures(session: AsyncSession) -> None:
    """Tell the planner how many leads there are by now."""
    await session.execute(_ANALYZE)


async def open_values(session: AsyncSession) -> None:
    """Begin to bring in the values of rows, a block at a time."""
    await create_landing_table(session, _LANDED)


async def land_values(session: AsyncSession, values: bytes) -> None:
    """Bring in the values of some rows as CSV of (line number, FIELDS, custom fields), in place of those before."""

    async def block() -> AsyncIterator[bytes]:
        yield values

    await session.execute(_EMPTY)
    await copy_into_landing(session, block())


async def write_block(session: AsyncSession, plan: Plan, lines: tuple[int, int]) -> WrittenBlock:
    """Write the rows between two lines, whose values were brought in, to leads; and what leads were before."""
    await session.execute(_hold(plan, lines))
    lead = select_known_leads(plan)
    after = merge_values(plan, lead)
    # Materialised: it is read by every step below.
    rows = (
        select_outcomes(plan, lines, lead, count_changes(after, plan, lead))
        .add_columns(
            lead.c.id.label("lead_id"),
            lead.c.updated_at,
            lead.c.list_id.label("list_before"),
            _before(lead).label("before"),
            *(GIVEN.c[name].label(f"given_{name}") for name in FIELDS),
            _stripped().label("given_custom_fields"),
            *(value.label(f"after_{name}") for name, value in after.items()),
        )
        .outerjoin(GIVEN, GIVEN.c.line_number == LeadImportRow.line_number)
        .cte("rows")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    inserted, changed = _insert(rows, plan), _change(rows)
    joining = func.count().filter(changed.c.list_before.is_(None))
    # Not joined with what was written: the planner takes each for two rows, and would compare each with each.
    counts = (
        select(
            rows.c.outcome,
            func.count().label("rows"),
            select(func.count()).select_from(inserted).scalar_subquery().label("inserted"),
            select(func.count()).select_from(changed).scalar_subquery().label("changed"),
            select(joining).select_from(changed).scalar_subquery().label("joining"),
        )
        .group_by(rows.c.outcome)
        .add_cte(_note(changed, plan))
    )
    found = (await session.execute(counts)).all()
    totals = {Outcome(row.outcome): row.rows for row in found}
    inserted_count, changed_count, joining_count = found[0].inserted, found[0].changed, found[0].joining
    for outcome, written in ((Outcome.NEW, inserted_count), (Outcome.UPDATED, changed_count)):
        # Somebody else was quicker with these addresses.
        lost = totals.get(outcome, 0) - written
        if lost:
            totals[outcome] -= lost
            totals[Outcome.DUPLICATE_IN_WORKSPACE] = totals.get(Outcome.DUPLICATE_IN_WORKSPACE, 0) + lost
    return WrittenBlock(totals, inserted_count + joining_count if plan.list_id is not None else 0)


def _hold(plan: Plan, lines: tuple[int, int]) -> Select[int]:
    """Select how many leads have an address of these rows, and hold them, in one order everywhere."""
    lead = select_known_leads(plan)
    known = select(lead.c.id).select_from(LeadImportRow).join(lead, true()).where(*block_conditions(plan, lines))
    held = (
        select(Lead.id)
        .where(Lead.id == any_(func.array(known.scalar_subquery(), type_=ARRAY(PG_UUID))))
        .order_by(Lead.id)
        .with_for_update(key_share=True)
    )
    return select(func.count()).select_from(held.subquery("held"))


def select_known_leads(plan: Plan) -> LateralFromClause:
    """Return the lead of a row's address, looked up for each row by itself.

    The planner takes the rows of a file for two, and left to itself would compare each of them with each lead.
    """
    row = LeadImportRow
    columns = [getattr(Lead, name) for name in ("id", "list_id", "updated_at", *_VALUES)]
    own = and_(Lead.workspace_id == plan.workspace_id, Lead.email == row.email, Lead.deleted_at.is_(None))
    return select(*columns).where(own).limit(1).correlate(row).lateral("lead")


def select_outcomes(
    plan: Plan, lines: tuple[int, int] | None, lead: FromClause, differs: ColumnElement[bool] | None
) -> Select[Any]:
    """Select rows beside the leads of their addresses, with what becomes of each.

    Without `differs`, what is known already is left open.
    """
    row = LeadImportRow
    known: ColumnElement[Any] = literal(KNOWN) if differs is None else select_differences(differs)
    outcome = case(
        (row.email.is_(None), Outcome.INVALID.value),
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
    """Return what becomes of a row whose address is a lead's already."""
    return case((differs, Outcome.UPDATED.value), else_=Outcome.DUPLICATE_IN_WORKSPACE.value)


def block_conditions(plan: Plan, lines: tuple[int, int] | None) -> list[ColumnElement[bool]]:
    """Return the conditions that leave the file's rows, or those between two lines."""
    row = LeadImportRow
    theirs = [row.workspace_id == plan.workspace_id, row.import_id == plan.import_id]
    return [*theirs, row.line_number.between(*lines)] if lines is not None else theirs


def merge_values(plan: Plan, lead: FromClause) -> dict[str, ColumnElement[Any]]:
    """Return what each field of a known lead becomes; a blank cell never takes anything away."""
    fills = plan.policy is DuplicatePolicy.FILL
    fields: dict[str, ColumnElement[Any]] = {}
    for name in FIELDS:
        first, second = (lead.c[name], GIVEN.c[name]) if fills else (GIVEN.c[name], lead.c[name])
        fields[name] = func.coalesce(func.nullif(first, ""), second)
    held = lead.c.custom_fields
    under, over = (_stripped(), held) if fills else (held, _stripped())
    fields["custom_fields"] = under.op("||")(over)
    fields["list_id"] = func.coalesce(lead.c.list_id, literal(plan.list_id, PG_UUID))
    return fields


def _stripped() -> ColumnElement[Any]:
    return func.jsonb_strip_nulls(GIVEN.c.custom_fields, type_=JSONB)


def count_changes(after: Mapping[str, ColumnElement[Any]], plan: Plan, lead: FromClause) -> ColumnElement[bool]:
    """Return whether a lead becomes another than it is."""
    if plan.policy is DuplicatePolicy.SKIP:
        return literal(value=False)
    return or_(*(value.is_distinct_from(lead.c[name]) for name, value in after.items()))


def _before(lead: FromClause) -> ColumnElement[Any]:
    pairs = [part for name in (*_VALUES, "list_id") for part in (literal(name, Text), lead.c[name])]
    return func.jsonb_build_object(*pairs, type_=JSONB)


def _lead_id(line: ColumnElement[int], plan: Plan) -> ColumnElement[UUID]:
    made: ColumnElement[UUID] = func.app.imported_lead_id(literal(plan.first_lead_id, PG_UUID), line)
    return made


def _insert(rows: CTE, plan: Plan) -> CTE:
    given: dict[str, ColumnElement[Any]] = {name: rows.c[f"given_{name}"] for name in _VALUES}
    given["segment"] = func.coalesce(given["segment"], literal(plan.default_segment, Text))
    new = (
        select(
            _lead_id(rows.c.line_number, plan),
            literal(plan.workspace_id, PG_UUID),
            literal(plan.list_id, PG_UUID),
            rows.c.email,
            *given.values(),
        )
        .where(rows.c.outcome == Outcome.NEW)
        # Lock in id order to avoid deadlocks (database/locks.py).
        .order_by(rows.c.email)
    )
    return (
        insert(Lead)
        .from_select(["id", "workspace_id", "list_id", "email", *given], new)
        .on_conflict_do_nothing(index_elements=[Lead.workspace_id, Lead.email], index_where=Lead.deleted_at.is_(None))
        .returning(Lead.id)
        .cte("inserted")
    )


def _change(rows: CTE) -> CTE:
    return (
        update(Lead)
        # The last for a lead that came between, which is not held: what was compared must still be so.
        .where(Lead.id == rows.c.lead_id, rows.c.outcome == Outcome.UPDATED, Lead.updated_at == rows.c.updated_at)
        .values({name: rows.c[f"after_{name}"] for name in (*_VALUES, "list_id")})
        .returning(Lead.id, Lead.updated_at, rows.c.line_number, rows.c.before, rows.c.list_before)
        .cte("changed")
    )


def _note(changed: CTE, plan: Plan) -> CTE:
    noted = select(
        literal(plan.workspace_id, PG_UUID),
        literal(plan.import_id, PG_UUID),
        changed.c.line_number,
        changed.c.id,
        changed.c.before,
        changed.c.updated_at,
    )
    columns = ["workspace_id", "import_id", "line_number", "lead_id", "before", "changed_at"]
    return insert(LeadImportChange).from_select(columns, noted).cte("noted")


async def new_lead_ids(session: AsyncSession) -> UUID:
    """Return the id that line 0 of a file would get, of this moment; those of its leads follow from it."""
    first: UUID = (await session.execute(_NEW_LEAD_IDS)).scalar_one()
    return first


async def delete_changes(session: AsyncSession, plan: Plan) -> None:
    """Delete what an earlier commit of the import changed."""
    await session.execute(
        delete(LeadImportChange).where(
            LeadImportChange.workspace_id == plan.workspace_id, LeadImportChange.import_id == plan.import_id
        )
    )
