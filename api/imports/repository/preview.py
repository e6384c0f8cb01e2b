"""The SQL of previews: the outcome of every row of a file, in a temporary table; no lead is written."""

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

from api.imports.repository.outcomes import (
    FILE_VALUES,
    KNOWN,
    Outcome,
    Plan,
    block_conditions,
    has_changes,
    merge_values,
    select_differences,
    select_known_leads,
    select_outcomes,
)
from database.models import DuplicatePolicy, Lead, LeadImportRow
from domain.suppression import SuppressionReason

# The planner has no statistics of rows that were just inserted. It estimates two rows for a file, and would look up a
# million leads one by one.
_FORBID_LOOPS = text("SELECT set_config('enable_nestloop', 'off', true)")
_ALLOW_LOOPS = text("SELECT set_config('enable_nestloop', 'on', true)")
_CREATE = text("CREATE TEMPORARY TABLE outcomes (line_number int PRIMARY KEY, outcome text) ON COMMIT DROP")
_outcomes = table("outcomes", column("line_number", Integer), column("outcome", Text))


async def store_outcomes(session: AsyncSession, plan: Plan) -> None:
    """Store the outcome of each row that would not be a new lead.

    A row whose address a lead has stays KNOWN until `compare_block` compares its values.
    """
    await session.execute(_CREATE)
    await session.execute(_FORBID_LOOPS)
    leads = select(Lead.id, Lead.email).where(Lead.workspace_id == plan.workspace_id, Lead.deleted_at.is_(None))
    rows = select_outcomes(plan, None, leads.subquery("lead"), None).subquery("rows")
    outcome: ColumnElement[Any] = rows.c.outcome
    if plan.policy is DuplicatePolicy.SKIP:
        outcome = case((outcome == KNOWN, Outcome.DUPLICATE_IN_WORKSPACE.value), else_=outcome)
    stored = select(rows.c.line_number, outcome).where(rows.c.outcome != Outcome.NEW)
    await session.execute(insert(_outcomes).from_select(["line_number", "outcome"], stored))
    await session.execute(_ALLOW_LOOPS)


async def list_known_lines(session: AsyncSession, lines: tuple[int, int]) -> Sequence[int]:
    """Return the lines between two whose rows are KNOWN: a lead has the address, and their values are not compared."""
    row = _outcomes.c
    statement = select(row.line_number).where(row.outcome == KNOWN, row.line_number.between(*lines))
    return (await session.scalars(statement)).all()


async def compare_block(session: AsyncSession, plan: Plan, lines: tuple[int, int]) -> None:
    """Store whether the rows of FILE_VALUES, which are between two lines, would change their leads."""
    lead = select_known_leads(plan)
    outcome = select_differences(has_changes(merge_values(plan, lead), plan, lead)).label("outcome")
    compared = _select_values(plan, lead, lines).add_columns(outcome).subquery("compared")
    await session.execute(
        update(_outcomes)
        .where(_outcomes.c.line_number == compared.c.line_number, _outcomes.c.line_number.between(*lines))
        .values(outcome=compared.c.outcome)
    )


def _select_values(plan: Plan, lead: LateralFromClause, lines: tuple[int, int] | None = None) -> Select[Any]:
    """Select the line numbers of FILE_VALUES, joined to the leads that have the addresses of the rows."""
    row = LeadImportRow
    statement: Select[Any] = select(FILE_VALUES.c.line_number)
    return (
        statement.select_from(FILE_VALUES)
        .join(row, and_(*block_conditions(plan, lines), row.line_number == FILE_VALUES.c.line_number))
        .join(lead, true())
    )


async def count_outcomes(session: AsyncSession) -> dict[Outcome, int]:
    """Return the number of rows by outcome, without the rows that would be new leads."""
    outcome = _outcomes.c.outcome
    counts: Select[Any] = select(outcome, func.count().label("rows")).group_by(outcome)
    return {Outcome(row.outcome): row.rows for row in await session.execute(counts)}


async def count_opt_outs(session: AsyncSession, plan: Plan) -> dict[SuppressionReason, int]:
    """Return how many rows have an address that the file says not to mail, by reason."""
    row = LeadImportRow
    opt_outs = (
        select(row.opt_out, func.count().label("rows"))
        .where(*block_conditions(plan, None), row.opt_out.is_not(None))
        .group_by(row.opt_out)
    )
    return {SuppressionReason(reason): rows for reason, rows in await session.execute(opt_outs) if reason}


async def list_first_lines(session: AsyncSession, plan: Plan, outcome: Outcome, limit: int) -> Sequence[int]:
    """Return the first lines whose rows have an outcome, at most `limit`."""
    stored = _outcomes.c
    if outcome is Outcome.NEW:
        row = LeadImportRow
        has_outcome = select(literal(1)).where(stored.line_number == row.line_number).exists()
        statement = select(row.line_number).where(*block_conditions(plan, None), ~has_outcome).order_by(row.line_number)
    else:
        statement = select(stored.line_number).where(stored.outcome == outcome).order_by(stored.line_number)
    return (await session.scalars(statement.limit(limit))).all()


async def find_rows(
    session: AsyncSession, plan: Plan, lines: Sequence[int]
) -> Sequence[Row[int, str | None, str | None, int | None, str | None, bool, UUID | None]]:
    """Return the rows on some lines, each with the `lead_id` that has its address."""
    row = LeadImportRow
    has_address = and_(Lead.workspace_id == plan.workspace_id, Lead.email == row.email, Lead.deleted_at.is_(None))
    statement = (
        select(
            row.line_number,
            row.email,
            row.problem,
            row.first_line,
            row.opt_out,
            row.has_unknown_timezone,
            Lead.id.label("lead_id"),
        )
        .outerjoin(Lead, has_address)
        .where(*block_conditions(plan, None), row.line_number.in_(lines))
    )
    return (await session.execute(statement)).all()


async def find_differences(session: AsyncSession, plan: Plan) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
    """Return, by line, the fields before and after of the leads that the rows of FILE_VALUES would change."""
    lead = select_known_leads(plan)
    after = merge_values(plan, lead)
    statement = _select_values(plan, lead).add_columns(
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
