"""The SQL of imports: landing a file's rows, and what becomes of them, in one statement each."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    cast,
    column,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncResult, AsyncSession

from api.pagination import PageRequest, paged
from api.suppressions.repository import suppressed
from api.tabular.addresses import PLAIN_ADDRESS, PLAIN_CHARACTERS, RESERVED_ENDINGS, Checked
from api.tabular.records import BLANKS
from database.landing import land
from database.models import DuplicatePolicy, ImportState, Lead, LeadImport, LeadImportRow, RowOutcome
from domain.lead import LeadSegment

_LEAD_FIELDS = ("first_name", "last_name", "company", "role", "segment", "timezone")
_SEGMENTS = {
    **dict.fromkeys(("enterprise", "large"), LeadSegment.ENTERPRISE.value),
    **dict.fromkeys(("midmarket", "medium"), LeadSegment.MID_MARKET.value),
    **dict.fromkeys(("smb", "sme", "small", "smallbusiness"), LeadSegment.SMB.value),
}
"""What a cell may call a segment, by its letters alone."""
_PAIRS_AT_ONCE = 45

# The planner has no figures for rows that have just come in, takes a file of a million for two rows, and would compare
# each with each.
_FORBID_LOOPS = text("SELECT set_config('enable_nestloop', 'off', true)")
_LANDED = "line_number int, cells jsonb, error text"
_LAND = text(
    """
    INSERT INTO app.lead_import_rows (workspace_id, import_id, line_number, cells, outcome, error)
    SELECT :workspace_id, :import_id, line_number, cells, CASE WHEN error IS NOT NULL THEN 'invalid' END, error
      FROM landing
    """
)


async def add_import(session: AsyncSession, workspace_id: UUID, **values: Any) -> LeadImport:
    """Insert an import."""
    statement = insert(LeadImport).values(workspace_id=workspace_id, **values).returning(LeadImport)
    return (await session.scalars(statement)).one()


async def land_rows(session: AsyncSession, workspace_id: UUID, import_id: UUID, blocks: AsyncIterator[bytes]) -> int:
    """Store a file's rows, given as CSV blocks of (line number, cells, error); returns how many there were."""
    await land(session, _LANDED, blocks)
    landed: Any = await session.execute(_LAND, {"workspace_id": workspace_id, "import_id": import_id})
    return int(landed.rowcount)


async def find_import(
    session: AsyncSession, workspace_id: UUID, import_id: UUID, *, hold: bool = False
) -> LeadImport | None:
    """Return an import; with `hold`, as it is now and held against changes until the transaction ends."""
    statement = select(LeadImport).where(LeadImport.workspace_id == workspace_id, LeadImport.id == import_id)
    if hold:
        statement = statement.with_for_update(key_share=True)
    return await session.scalar(statement, execution_options={"populate_existing": hold})


async def list_imports(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Sequence[LeadImport]:
    """Return the workspace's imports, newest first, one more than the page holds."""
    statement = select(LeadImport).where(LeadImport.workspace_id == workspace_id)
    return (await session.scalars(paged(statement, LeadImport.id, page))).all()


async def move_import(
    session: AsyncSession, workspace_id: UUID, import_id: UUID, sources: Sequence[ImportState], values: dict[str, Any]
) -> LeadImport | None:
    """Change an import that is in one of `sources` and return it, or None when it is not."""
    statement = (
        update(LeadImport)
        .where(LeadImport.workspace_id == workspace_id, LeadImport.id == import_id, LeadImport.state.in_(sources))
        .values(**values)
        .returning(LeadImport)
    )
    return await session.scalar(statement, execution_options={"populate_existing": True})


@dataclass(frozen=True, slots=True)
class Plan:
    """How the rows of a file become leads: where each field stands, and what to do with addresses known already."""

    workspace_id: UUID
    import_id: UUID
    list_id: UUID | None
    policy: DuplicatePolicy
    fields: Mapping[str, int]
    """The position of the cell for email, first_name, last_name, full_name, company, role, segment and timezone."""
    custom: Sequence[tuple[str, int]]
    """Name and position of every custom field."""
    leftovers: Mapping[str, str]
    """Under which custom field a segment or time zone is kept that is none of ours."""
    zones: Sequence[str] = ()
    """The time zones that can be computed with."""
    checked: Checked = field(default_factory=lambda: Checked([], [], []))


async def cells_to_check(session: AsyncSession, plan: Plan) -> Sequence[str]:
    """Return the different cells of the address column that the pattern of plain addresses does not vouch for."""
    cell = _cell(plan.fields["email"])
    statement = select(cell).where(
        *_rows_of(plan), LeadImportRow.error.is_(None), cell != "", ~_is_plain(func.lower(cell))
    )
    return (await session.scalars(statement.distinct())).all()


async def count_outcomes(session: AsyncSession, plan: Plan) -> dict[RowOutcome, int]:
    """Return how many rows would come to what; nothing is written."""
    rows = _judged(plan).subquery("judged")
    counts: Select[Any] = select(rows.c.outcome, func.count().label("rows")).group_by(rows.c.outcome)
    return {RowOutcome(row.outcome): row.rows for row in await session.execute(counts)}


async def stream_invalid(session: AsyncSession, plan: Plan, *, is_committed: bool) -> AsyncResult[int, str, list[str]]:
    """Return the rows that cannot be used (line, reason, cells): as they were judged, or as they would be now."""
    row = LeadImportRow
    rows = _judged(plan).subquery("judged")
    stored: Any = select(row.line_number, row.error, row.cells).where(row.outcome == RowOutcome.INVALID)
    now: Any = (
        select(row.line_number, rows.c.problem, row.cells)
        .join(rows, rows.c.line_number == row.line_number)
        .where(rows.c.outcome == RowOutcome.INVALID)
    )
    statement = (stored if is_committed else now).where(*_rows_of(plan)).order_by(row.line_number)
    found: AsyncResult[int, str, list[str]] = await session.stream(statement)
    return found


async def commit_rows(session: AsyncSession, plan: Plan) -> Sequence[Row[Any]]:
    """Write a file's rows to leads, and to each row what became of it, in one statement.

    Returns for each `outcome` how many `rows` came to it, and how many leads `joined` the plan's list by it.
    """
    rows = _judged(plan).cte("judged").prefix_with("MATERIALIZED", dialect="postgresql")
    inserted, changed = _insert(rows, plan), _change(rows, plan)
    is_new, is_updated = rows.c.outcome == RowOutcome.NEW, rows.c.outcome == RowOutcome.UPDATED
    joins = or_(
        and_(is_new, inserted.c.id.is_not(None)),
        and_(is_updated, rows.c.lead_list_id.is_(None), changed.c.list_id == plan.list_id),
    )
    settled = (
        select(
            rows.c.line_number,
            rows.c.problem,
            func.coalesce(inserted.c.id, rows.c.lead_id).label("lead_id"),
            case(
                # Somebody else was quicker with this address.
                (or_(and_(is_new, inserted.c.id.is_(None)), and_(is_updated, changed.c.id.is_(None))), "duplicate"),
                else_=rows.c.outcome,
            ).label("outcome"),
            case((joins, 1), else_=0).label("joins"),
        )
        .outerjoin_from(rows, inserted, inserted.c.email == rows.c.email)
        .outerjoin(changed, changed.c.id == rows.c.lead_id)
        .cte("settled")
    )
    told = (
        update(LeadImportRow)
        .where(*_rows_of(plan), LeadImportRow.line_number == settled.c.line_number)
        .values(outcome=settled.c.outcome, error=settled.c.problem, lead_id=settled.c.lead_id)
        .cte("told")
    )
    totals = func.count().label("rows"), func.sum(settled.c.joins).label("joined")
    counts: Select[Any] = select(settled.c.outcome, *totals).group_by(settled.c.outcome)
    await session.execute(_FORBID_LOOPS)
    done: Sequence[Row[Any]] = (await session.execute(counts.add_cte(told))).all()
    return done


def _insert(rows: CTE, plan: Plan) -> CTE:
    names = [*_LEAD_FIELDS, "custom_fields"]
    new = (
        select(literal(plan.workspace_id), literal(plan.list_id), rows.c.email, *(rows.c[name] for name in names))
        .where(rows.c.outcome == RowOutcome.NEW)
        # In one order everywhere, so that two that write the same addresses wait for each other and go on.
        .order_by(rows.c.email)
    )
    return (
        insert(Lead)
        .from_select(["workspace_id", "list_id", "email", *names], new)
        .on_conflict_do_nothing(index_elements=[Lead.workspace_id, Lead.email], index_where=Lead.deleted_at.is_(None))
        .returning(Lead.id, Lead.email)
        .cte("inserted")
    )


def _change(rows: CTE, plan: Plan) -> CTE:
    return (
        update(Lead)
        .where(Lead.id == rows.c.lead_id, rows.c.outcome == RowOutcome.UPDATED, Lead.deleted_at.is_(None))
        .values(_merged(rows, plan))
        .returning(Lead.id, Lead.list_id)
        .cte("changed")
    )


def _merged(row: FromClause, plan: Plan) -> dict[str, ColumnElement[Any]]:
    """Return what each field of a known lead becomes; a blank cell never takes anything away."""
    fills = plan.policy is DuplicatePolicy.FILL
    merged: dict[str, ColumnElement[Any]] = {}
    for name in _LEAD_FIELDS:
        lead, cell = getattr(Lead, name), row.c[name]
        first, second = (lead, cell) if fills else (cell, lead)
        merged[name] = func.coalesce(func.nullif(first, ""), second)
    under, over = (row.c.custom_fields, Lead.custom_fields) if fills else (Lead.custom_fields, row.c.custom_fields)
    merged["custom_fields"] = under.op("||")(over)
    merged["list_id"] = func.coalesce(Lead.list_id, plan.list_id)
    return merged


def _judged(plan: Plan) -> Select[Any]:
    """Select a file's rows as leads would take them, with what each would come to."""
    # A fence: without it the pattern is tried again wherever the address is looked at.
    row = _addressed(plan).cte("addressed").prefix_with("MATERIALIZED", dialect="postgresql")
    nth = func.row_number().over(partition_by=row.c.email, order_by=row.c.line_number)
    changes = or_(*(value.is_distinct_from(getattr(Lead, name)) for name, value in _merged(row, plan).items()))
    outcome = case(
        (row.c.problem.is_not(None), "invalid"),
        (suppressed(plan.workspace_id, row.c.email), "suppressed"),
        (nth > 1, "duplicate"),
        (Lead.id.is_(None), "new"),
        (changes if plan.policy is not DuplicatePolicy.SKIP else literal(False), "updated"),
        else_="duplicate",
    )
    same = and_(Lead.workspace_id == plan.workspace_id, Lead.email == row.c.email, Lead.deleted_at.is_(None))
    return select(
        row, Lead.id.label("lead_id"), Lead.list_id.label("lead_list_id"), outcome.label("outcome")
    ).outerjoin(Lead, same)


def _addressed(plan: Plan) -> Select[Any]:
    """Select a file's rows with their address, or with what is wrong with them."""
    read = _read(plan).subquery("read")
    checked = (plan.checked.cells, plan.checked.addresses, plan.checked.problems)
    found = (
        func.unnest(*(cast(values, ARRAY(Text)) for values in checked))
        .table_valued(column("cell", Text), column("address", Text), column("problem", Text))
        .render_derived(name="found")
    )
    lower = func.lower(read.c.cell)
    address = case((_is_plain(lower), lower), else_=found.c.address)
    blank = case((read.c.cell == "", "The row has no email address."), else_=found.c.problem)
    problem = func.coalesce(read.c.error, blank)
    fields = [read.c[name] for name in (*_LEAD_FIELDS, "custom_fields")]
    return select(
        read.c.line_number,
        problem.label("problem"),
        case((problem.is_(None), address)).label("email"),
        *fields,
    ).outerjoin(found, found.c.cell == read.c.cell)


def _read(plan: Plan) -> Select[Any]:
    """Select a file's rows with their cells under the names of a lead's fields."""
    given = {name: _cell(position) for name, position in plan.fields.items()}
    first, last = _names(given)
    segment, zone = given.get("segment", literal("")), given.get("timezone", literal(""))
    ours: ColumnElement[Any] = case(_SEGMENTS, value=func.regexp_replace(func.lower(segment), "[^a-z]", "", "g"))
    known: ColumnElement[Any] = case((zone == any_(cast(list(plan.zones), ARRAY(Text))), zone))
    pairs: list[tuple[str, ColumnElement[Any]]] = [(name, func.nullif(_cell(at), "")) for name, at in plan.custom]
    for field_name, cell, value in (("segment", segment, ours), ("timezone", zone, known)):
        if field_name in plan.fields:
            pairs.append((plan.leftovers[field_name], case((and_(cell != "", value.is_(None)), cell))))
    return select(
        LeadImportRow.line_number,
        LeadImportRow.error,
        given["email"].label("cell"),
        first.label("first_name"),
        last.label("last_name"),
        given.get("company", literal("")).label("company"),
        given.get("role", literal("")).label("role"),
        ours.label("segment"),
        known.label("timezone"),
        _as_object(pairs).label("custom_fields"),
    ).where(*_rows_of(plan))


def _names(given: Mapping[str, ColumnElement[str]]) -> tuple[ColumnElement[str], ColumnElement[str]]:
    """Return first and last name, out of the full name where they have no cell or a blank one."""
    first, last = given.get("first_name", literal("")), given.get("last_name", literal(""))
    if "full_name" not in given:
        return first, last
    whole = given["full_name"]
    word = func.split_part(whole, " ", 1)
    has_comma = func.strpos(whole, ",") > 0
    front = case((has_comma, func.btrim(func.split_part(whole, ",", 2))), else_=word)
    back = case(
        (has_comma, func.btrim(func.split_part(whole, ",", 1))),
        else_=func.btrim(func.substr(whole, func.length(word) + 1)),
    )
    return func.coalesce(func.nullif(first, ""), front), func.coalesce(func.nullif(last, ""), back)


def _as_object(pairs: Sequence[tuple[str, ColumnElement[Any]]]) -> ColumnElement[Any]:
    """Return a JSON object of what is not null."""
    made: ColumnElement[Any] = cast({}, JSONB)
    # A function takes a hundred arguments at most.
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        parts = [part for pair in pairs[start : start + _PAIRS_AT_ONCE] for part in pair]
        made = made.op("||")(func.jsonb_build_object(*parts))
    return func.jsonb_strip_nulls(made, type_=JSONB)


def _is_plain(address: ColumnElement[str]) -> ColumnElement[bool]:
    """Say whether a lower-case address needs no further check."""
    return and_(
        func.length(address) <= PLAIN_CHARACTERS,
        address.regexp_match(PLAIN_ADDRESS),
        func.split_part(address, ".", -1).not_in(RESERVED_ENDINGS),
    )


def _cell(position: int) -> ColumnElement[str]:
    """Return the cell at a position, trimmed; blank where a row is too short."""
    cell = LeadImportRow.cells.op("->>")(literal(position, Integer))
    return func.coalesce(func.btrim(cell, BLANKS), "")


def _rows_of(plan: Plan) -> tuple[ColumnElement[bool], ...]:
    return LeadImportRow.workspace_id == plan.workspace_id, LeadImportRow.import_id == plan.import_id
