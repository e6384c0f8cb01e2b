"""The SQL of previews: all rows of a file judged at once, beside the leads that there are; nothing is written."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    case,
    column,
    func,
    literal,
    select,
    table,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.selectable import LateralFromClause

from api.imports.commit.repository import (
    GIVEN,
    KNOWN,
    Outcome,
    Plan,
    block_conditions,
    count_changes,
    merge_values,
    select_differences,
    select_known_leads,
    select_outcomes,
)
from database.models import DuplicatePolicy, Lead, LeadImportRow

# The planner takes the rows of a file for two, having no figures for what has just come in, and would look up a
# million leads one by one.
_FORBID_LOOPS = text("SELECT set_config('enable_nestloop', 'off', true)")
_ALLOW_LOOPS = text("SELECT set_config('enable_nestloop', 'on', true)")
_OPEN = text("CREATE TEMPORARY TABLE judged (line_number int PRIMARY KEY, outcome text) ON COMMIT DROP")
_judged = table("judged", column("line_number", Integer), column("outcome", Text))


async def judge_rows(session: AsyncSession, plan: Plan) -> None:
    """Note what would become of each row; of those whose address is a lead's, `compare` says it a block at a time."""
    await session.execute(_OPEN)
    await session.execute(_FORBID_LOOPS)
    leads = select(Lead.id, Lead.email).where(Lead.workspace_id == plan.workspace_id, Lead.deleted_at.is_(None))
    rows = select_outcomes(plan, None, leads.subquery("lead"), None).subquery("rows")
    outcome: ColumnElement[Any] = rows.c.outcome
    if plan.policy is DuplicatePolicy.SKIP:
        outcome = case((outcome == KNOWN, Outcome.DUPLICATE_IN_WORKSPACE.value), else_=outcome)
    judged = select(rows.c.line_number, outcome).where(rows.c.outcome != Outcome.NEW)
    await session.execute(insert(_judged).from_select(["line_number", "outcome"], judged))
    await session.execute(_ALLOW_LOOPS)


async def list_known_lines(session: AsyncSession, lines: tuple[int, int]) -> Sequence[int]:
    """Return the lines between two whose address is a lead's and which are not compared yet."""
    judged = _judged.c
    found = select(judged.line_number).where(judged.outcome == KNOWN, judged.line_number.between(*lines))
    return (await session.scalars(found)).all()


async def compare(session: AsyncSession, plan: Plan, lines: tuple[int, int]) -> None:
    """Note of the rows between two lines, whose values were brought in, whether they would change their lead."""
    lead = select_known_leads(plan)
    outcome = select_differences(count_changes(merge_values(plan, lead), plan, lead)).label("outcome")
    found = _beside(plan, lead, lines).add_columns(outcome).subquery("found")
    await session.execute(
        update(_judged)
        .where(_judged.c.line_number == found.c.line_number, _judged.c.line_number.between(*lines))
        .values(outcome=found.c.outcome)
    )


def _beside(plan: Plan, lead: LateralFromClause, lines: tuple[int, int] | None = None) -> Select[Any]:
    """Select the lines of rows whose values were brought in, beside the leads that have their addresses."""
    row = LeadImportRow
    beside: Select[Any] = select(GIVEN.c.line_number)
    return (
        beside.select_from(GIVEN)
        .join(row, and_(*block_conditions(plan, lines), row.line_number == GIVEN.c.line_number))
        .join(lead, true())
    )


async def count_judged(session: AsyncSession) -> dict[Outcome, int]:
    """Return how many rows would come to what, those that would be new leads left out."""
    outcome = _judged.c.outcome
    counts: Select[Any] = select(outcome, func.count().label("rows")).group_by(outcome)
    return {Outcome(row.outcome): row.rows for row in await session.execute(counts)}


async def first_lines(session: AsyncSession, plan: Plan, outcome: Outcome, most: int) -> Sequence[int]:
    """Return the first lines whose rows would come to an outcome."""
    judged = _judged.c
    if outcome is Outcome.NEW:
        row = LeadImportRow
        there = select(literal(1)).where(judged.line_number == row.line_number).exists()
        statement = select(row.line_number).where(*block_conditions(plan, None), ~there).order_by(row.line_number)
    else:
        statement = select(judged.line_number).where(judged.outcome == outcome).order_by(judged.line_number)
    return (await session.scalars(statement.limit(most))).all()


async def find_rows(
    session: AsyncSession, plan: Plan, lines: Sequence[int]
) -> Sequence[Row[int, str | None, str | None, int | None, UUID | None]]:
    """Return of some rows `line_number`, `email`, `problem`, `first_line`, and the `lead_id` that has the address."""
    row = LeadImportRow
    same = and_(Lead.workspace_id == plan.workspace_id, Lead.email == row.email, Lead.deleted_at.is_(None))
    statement = (
        select(row.line_number, row.email, row.problem, row.first_line, Lead.id.label("lead_id"))
        .outerjoin(Lead, same)
        .where(*block_conditions(plan, None), row.line_number.in_(lines))
    )
    return (await session.execute(statement)).all()


async def find_differences(session: AsyncSession, plan: Plan) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
    """Return, by line, the fields before and after of the leads that the rows brought in would change."""
    lead = select_known_leads(plan)
    after = merge_values(plan, lead)
    statement = _beside(plan, lead).add_columns(
        *(lead.c[name].label(f"before_{name}") for name in after),
        *(value.label(f"after_{name}") for name, value in after.items()),
    )
    return {
        row.line_number: (
            {name: getattr(row, f"before_{name}") for name in after},
            {name: getattr(row, f"after_{name}") for name in after},
        )
        for row in await session.execute(statement)
    }
