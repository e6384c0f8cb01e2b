"""The SQL of uploads: imports, the blocks of their files, the address of each row, and remembered mappings."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, false, func, or_, select, text, union, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest, paged
from database.landing import copy_into_landing, create_landing_table
from database.models import LeadImport, LeadImportBlock, LeadImportChange, LeadImportMapping, LeadImportRow
from domain.lead_import import ImportEvent, source_states
from domain.opt_outs import PRECEDENCE
from domain.suppression import SuppressionReason

ERASED = "The lead was erased."
UNKNOWN_TIMEZONE = (
    "The time zone is not clear, so the lead's emails follow the workspace's time zone. "
    "Use a name such as Europe/Berlin."
)

_ROWS_TABLE = "line_number int, email text, problem text, opt_out text, has_unknown_timezone bool"
# A no in one row counts for all rows with the address.
_STORE_ROWS = text(
    """
    WITH stored AS (
      INSERT INTO app.lead_import_rows
             (workspace_id, import_id, line_number, email, problem, first_line, opt_out, has_unknown_timezone)
      SELECT :workspace_id, :import_id, landing.line_number, landing.email, landing.problem, again.first_line,
             refused.opt_out, landing.has_unknown_timezone AND refused.opt_out IS NULL
        FROM landing
        LEFT JOIN (SELECT email, min(line_number) AS first_line
                     FROM landing
                    WHERE email IS NOT NULL
                    GROUP BY email
                   HAVING count(*) > 1) AS again
          ON again.email = landing.email AND again.first_line < landing.line_number
        LEFT JOIN (SELECT DISTINCT ON (email) email, opt_out
                     FROM landing
                    WHERE email IS NOT NULL AND opt_out IS NOT NULL
                    ORDER BY email, array_position(CAST(:precedence AS text[]), opt_out)) AS refused
          ON refused.email = landing.email
      RETURNING opt_out, has_unknown_timezone
    )
    SELECT count(opt_out) AS opted_out_count,
           count(*) FILTER (WHERE has_unknown_timezone) AS unknown_timezone_count
      FROM stored
    """
)


@dataclass(frozen=True, slots=True)
class Span:
    """The position of some thousand rows in a file: the lines where the first and the last begin, and their number."""

    lines: tuple[int, int]
    row_count: int


@dataclass(frozen=True, slots=True)
class Block:
    """Some thousand rows of a file: their position, and the packed rows."""

    span: Span
    content: bytes


async def add_import(session: AsyncSession, workspace_id: UUID, **values: Any) -> LeadImport:
    """Insert an import."""
    statement = insert(LeadImport).values(workspace_id=workspace_id, **values).returning(LeadImport)
    return (await session.scalars(statement)).one()


async def find_import(
    session: AsyncSession, workspace_id: UUID, import_id: UUID, *, lock: bool = False
) -> LeadImport | None:
    """Return an import; with `lock`, as it is now and locked until the transaction ends."""
    statement = select(LeadImport).where(LeadImport.workspace_id == workspace_id, LeadImport.id == import_id)
    if lock:
        statement = statement.with_for_update(key_share=True)
    return await session.scalar(statement, execution_options={"populate_existing": lock})


async def list_imports(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Sequence[LeadImport]:
    """Return the workspace's imports, newest first, one more than the page holds."""
    statement = select(LeadImport).where(LeadImport.workspace_id == workspace_id)
    return (await session.scalars(paged(statement, LeadImport.id, page))).all()


async def change_import(
    session: AsyncSession, workspace_id: UUID, import_id: UUID, values: Mapping[str, Any]
) -> LeadImport:
    """Change an import and return it."""
    statement = (
        update(LeadImport)
        .where(LeadImport.workspace_id == workspace_id, LeadImport.id == import_id)
        .values(**values)
        .returning(LeadImport)
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def apply_event(
    session: AsyncSession, workspace_id: UUID, import_id: UUID, event: ImportEvent, values: Mapping[str, Any]
) -> LeadImport | None:
    """Change an import and return it, or None if its state does not allow `event`; `values` holds the new state."""
    statement = (
        update(LeadImport)
        .where(
            LeadImport.workspace_id == workspace_id,
            LeadImport.id == import_id,
            LeadImport.state.in_(source_states(event)),
        )
        .values(**values)
        .returning(LeadImport)
    )
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def create_rows_table(session: AsyncSession) -> None:
    """Create the temporary table that `copy_rows` fills and `store_rows` reads."""
    await create_landing_table(session, _ROWS_TABLE)


async def copy_rows(session: AsyncSession, rows: bytes) -> None:
    """Copy rows into the temporary table, as CSV of its columns."""

    async def block() -> AsyncIterator[bytes]:
        yield rows

    await copy_into_landing(session, block())


async def store_rows(session: AsyncSession, workspace_id: UUID, import_id: UUID) -> dict[str, int]:
    """Replace the rows of an import with those of the temporary table; returns the import's counts of them.

    A row names the first line with its address.
    """
    parameters = {"workspace_id": workspace_id, "import_id": import_id, "precedence": list(PRECEDENCE)}
    await session.execute(
        delete(LeadImportRow).where(LeadImportRow.workspace_id == workspace_id, LeadImportRow.import_id == import_id)
    )
    return dict((await session.execute(_STORE_ROWS, parameters)).mappings().one())


async def find_opt_outs(
    session: AsyncSession, workspace_id: UUID, import_id: UUID, lines: tuple[int, int]
) -> dict[SuppressionReason, list[str]]:
    """Return the addresses that the file says not to mail, of the rows between two lines, by reason."""
    row = LeadImportRow
    statement = (
        select(row.opt_out, row.email)
        .where(
            row.workspace_id == workspace_id,
            row.import_id == import_id,
            row.line_number.between(*lines),
            row.opt_out.is_not(None),
            row.email.is_not(None),
        )
        .distinct()
    )
    found: dict[SuppressionReason, list[str]] = {}
    for reason, email in await session.execute(statement):
        assert reason is not None
        assert email is not None
        found.setdefault(SuppressionReason(reason), []).append(email)
    return found


async def add_block(session: AsyncSession, workspace_id: UUID, import_id: UUID, number: int, block: Block) -> None:
    """Store one block of a file."""
    await session.execute(
        insert(LeadImportBlock).values(
            workspace_id=workspace_id,
            import_id=import_id,
            number=number,
            first_line=block.span.lines[0],
            last_line=block.span.lines[1],
            row_count=block.span.row_count,
            content=block.content,
        )
    )


async def find_block(session: AsyncSession, workspace_id: UUID, import_id: UUID, number: int) -> Block | None:
    """Return a block of a file; None beyond the last."""
    row = LeadImportBlock
    statement = select(row.first_line, row.last_line, row.row_count, row.content).where(
        row.workspace_id == workspace_id, row.import_id == import_id, row.number == number
    )
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        return None
    return Block(Span((found.first_line, found.last_line), found.row_count), found.content)


async def list_blocks(session: AsyncSession, workspace_id: UUID, import_id: UUID) -> Sequence[Span]:
    """Return the position of every block of a file, in order."""
    row = LeadImportBlock
    statement = select(row.first_line, row.last_line, row.row_count).where(
        row.workspace_id == workspace_id, row.import_id == import_id
    )
    return [Span((first, last), count) for first, last, count in await session.execute(statement.order_by(row.number))]


async def change_block(session: AsyncSession, workspace_id: UUID, import_id: UUID, number: int, content: bytes) -> None:
    """Replace the rows of a block."""
    row = LeadImportBlock
    await session.execute(
        update(row)
        .where(row.workspace_id == workspace_id, row.import_id == import_id, row.number == number)
        .values(content=content)
    )


async def list_files(session: AsyncSession, workspace_id: UUID) -> Sequence[UUID]:
    """Return the imports whose files are still stored."""
    row = LeadImportBlock
    statement = select(row.import_id).where(row.workspace_id == workspace_id, row.number == 0).order_by(row.import_id)
    return (await session.scalars(statement)).all()


async def find_lines(
    session: AsyncSession, workspace_id: UUID, import_id: UUID, *, lead_ids: Sequence[UUID], address: str | None
) -> set[int]:
    """Return the lines of a file that have an address, and the lines whose rows changed one of some leads."""
    row, change = LeadImportRow, LeadImportChange
    # Without an address no line matches: the rows that cannot be used have no address either.
    about = select(row.line_number).where(
        row.workspace_id == workspace_id,
        row.import_id == import_id,
        false() if address is None else row.email == address,
    )
    changed = select(change.line_number).where(
        change.workspace_id == workspace_id, change.import_id == import_id, change.lead_id.in_(lead_ids)
    )
    return set((await session.scalars(union(about, changed))).all())


async def erase_rows(session: AsyncSession, workspace_id: UUID, import_id: UUID, lines: Collection[int]) -> None:
    """Erase the addresses of the rows on some lines, and what their leads were before the commit."""
    row, change = LeadImportRow, LeadImportChange
    await session.execute(
        update(row)
        .where(row.workspace_id == workspace_id, row.import_id == import_id, row.line_number.in_(lines))
        .values(email=None, problem=ERASED, first_line=None, opt_out=None, has_unknown_timezone=False)
    )
    await session.execute(
        delete(change).where(
            change.workspace_id == workspace_id, change.import_id == import_id, change.line_number.in_(lines)
        )
    )


async def find_problems(
    session: AsyncSession, workspace_id: UUID, import_id: UUID, lines: tuple[int, int]
) -> dict[int, str]:
    """Return what is wrong with rows between two lines, by line: why they cannot be used, or an unclear time zone."""
    row = LeadImportRow
    statement = select(row.line_number, func.coalesce(row.problem, UNKNOWN_TIMEZONE)).where(
        row.workspace_id == workspace_id,
        row.import_id == import_id,
        row.line_number.between(*lines),
        or_(row.problem.is_not(None), row.has_unknown_timezone),
    )
    return dict((await session.execute(statement)).all())


async def delete_file(session: AsyncSession, workspace_id: UUID, import_id: UUID) -> None:
    """Delete the rows of a file and the changes of its commit; the import itself stays."""
    for table in (LeadImportBlock, LeadImportRow, LeadImportChange):
        await session.execute(delete(table).where(table.workspace_id == workspace_id, table.import_id == import_id))


async def has_file(session: AsyncSession, workspace_id: UUID, import_id: UUID) -> bool:
    """Return whether the rows of a file are still stored."""
    has_block = exists().where(LeadImportBlock.workspace_id == workspace_id, LeadImportBlock.import_id == import_id)
    return bool(await session.scalar(select(has_block)))


async def find_saved_mapping(
    session: AsyncSession, workspace_id: UUID, headers_hash: str
) -> Sequence[dict[str, Any]] | None:
    """Return the mapping that a user saved for a file with these headers, or None."""
    return await session.scalar(
        select(LeadImportMapping.columns).where(
            LeadImportMapping.workspace_id == workspace_id, LeadImportMapping.headers_hash == headers_hash
        )
    )


async def save_mapping(
    session: AsyncSession, workspace_id: UUID, headers_hash: str, columns: Sequence[dict[str, Any]]
) -> None:
    """Save a mapping for the next file with these headers."""
    statement = insert(LeadImportMapping).values(
        workspace_id=workspace_id, headers_hash=headers_hash, columns=list(columns)
    )
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["workspace_id", "headers_hash"], set_={"columns": statement.excluded.columns}
        )
    )
