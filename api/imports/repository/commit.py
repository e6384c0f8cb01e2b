"""The SQL of commits: the rows of a block become leads in one statement."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Select,
    Text,
    any_,
    delete,
    func,
    literal,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncSession

from api.imports.repository.outcomes import (
    FILE_VALUES,
    VALUES,
    Outcome,
    Plan,
    block_conditions,
    file_custom_fields,
    has_changes,
    merge_values,
    select_known_leads,
    select_outcomes,
)
from database.models import Lead, LeadImportChange, LeadImportRow
from domain.lead_import import LEAD_FIELDS


@dataclass(frozen=True, slots=True)
class WrittenBlock:
    """The result of writing one block: how many rows had each outcome, and how many leads joined the list."""

    counts: Mapping[Outcome, int]
    joined: int


_NEW_LEAD_IDS = text("SELECT app.imported_lead_id(app.uuidv7(), 0)")
_ANALYZE = text("SELECT app.analyze_leads()")


async def analyze_leads(session: AsyncSession) -> None:
    """Refresh the planner's statistics of leads."""
    await session.execute(_ANALYZE)


async def write_block(session: AsyncSession, plan: Plan, lines: tuple[int, int]) -> WrittenBlock:
    """Write the rows between two lines to leads, and store what leads were before; FILE_VALUES must hold the rows."""
    await session.execute(_lock_known_leads(plan, lines))
    lead = select_known_leads(plan)
    after = merge_values(plan, lead)
    # Materialized, because every step below reads it.
    rows = (
        select_outcomes(plan, lines, lead, has_changes(after, plan, lead))
        .add_columns(
            lead.c.id.label("lead_id"),
            lead.c.updated_at,
            lead.c.list_id.label("list_before"),
            _before(lead).label("before"),
            *(FILE_VALUES.c[name].label(f"given_{name}") for name in LEAD_FIELDS),
            file_custom_fields().label("given_custom_fields"),
            *(value.label(f"after_{name}") for name, value in after.items()),
        )
        .outerjoin(FILE_VALUES, FILE_VALUES.c.line_number == LeadImportRow.line_number)
        .cte("rows")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    inserted, changed = _insert(rows, plan), _change(rows)
    joining = func.count().filter(changed.c.list_before.is_(None))
    # Subqueries instead of joins: the planner estimates two rows for each, and would compare each row with each.
    counts = (
        select(
            rows.c.outcome,
            func.count().label("rows"),
            select(func.count()).select_from(inserted).scalar_subquery().label("inserted"),
            select(func.count()).select_from(changed).scalar_subquery().label("changed"),
            select(joining).select_from(changed).scalar_subquery().label("joining"),
        )
        .group_by(rows.c.outcome)
        .add_cte(_insert_changes(changed, plan))
    )
    found = (await session.execute(counts)).all()
    totals = {Outcome(row.outcome): row.rows for row in found}
    inserted_count, changed_count, joining_count = found[0].inserted, found[0].changed, found[0].joining
    for outcome, written in ((Outcome.NEW, inserted_count), (Outcome.UPDATED, changed_count)):
        # Another transaction wrote these addresses first.
        lost = totals.get(outcome, 0) - written
        if lost:
            totals[outcome] -= lost
            totals[Outcome.DUPLICATE_IN_WORKSPACE] = totals.get(Outcome.DUPLICATE_IN_WORKSPACE, 0) + lost
    return WrittenBlock(totals, inserted_count + joining_count if plan.list_id is not None else 0)


def _lock_known_leads(plan: Plan, lines: tuple[int, int]) -> Select[int]:
    """Select how many leads have an address of these rows, and lock them."""
    lead = select_known_leads(plan)
    known = select(lead.c.id).select_from(LeadImportRow).join(lead, true()).where(*block_conditions(plan, lines))
    locked = (
        select(Lead.id)
        .where(Lead.id == any_(func.array(known.scalar_subquery(), type_=ARRAY(PG_UUID))))
        # Lock in id order to avoid deadlocks (database/locks.py).
        .order_by(Lead.id)
        .with_for_update(key_share=True)
    )
    return select(func.count()).select_from(locked.subquery("locked"))


def _before(lead: FromClause) -> ColumnElement[Any]:
    pairs = [part for name in (*VALUES, "list_id") for part in (literal(name, Text), lead.c[name])]
    return func.jsonb_build_object(*pairs, type_=JSONB)


def _lead_id(line: ColumnElement[int], plan: Plan) -> ColumnElement[UUID]:
    made: ColumnElement[UUID] = func.app.imported_lead_id(literal(plan.first_lead_id, PG_UUID), line)
    return made


def _insert(rows: CTE, plan: Plan) -> CTE:
    given: dict[str, ColumnElement[Any]] = {name: rows.c[f"given_{name}"] for name in VALUES}
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
        # A lead that was inserted since the locking is not locked: its compared values must not have changed.
        .where(Lead.id == rows.c.lead_id, rows.c.outcome == Outcome.UPDATED, Lead.updated_at == rows.c.updated_at)
        .values({name: rows.c[f"after_{name}"] for name in (*VALUES, "list_id")})
        .returning(Lead.id, Lead.updated_at, rows.c.line_number, rows.c.before, rows.c.list_before)
        .cte("changed")
    )


def _insert_changes(changed: CTE, plan: Plan) -> CTE:
    changes = select(
        literal(plan.workspace_id, PG_UUID),
        literal(plan.import_id, PG_UUID),
        changed.c.line_number,
        changed.c.id,
        changed.c.before,
        changed.c.updated_at,
    )
    columns = ["workspace_id", "import_id", "line_number", "lead_id", "before", "changed_at"]
    return insert(LeadImportChange).from_select(columns, changes).cte("changes")


async def new_lead_ids(session: AsyncSession) -> UUID:
    """Return a new id for line 0 of a file; the ids of its leads follow from it."""
    first: UUID = (await session.execute(_NEW_LEAD_IDS)).scalar_one()
    return first


async def delete_changes(session: AsyncSession, plan: Plan) -> None:
    """Delete the stored changes of an earlier commit of the import."""
    await session.execute(
        delete(LeadImportChange).where(
            LeadImportChange.workspace_id == plan.workspace_id, LeadImportChange.import_id == plan.import_id
        )
    )
