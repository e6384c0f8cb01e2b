"""The SQL of undos: the leads of a block become what they were before the commit, in one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, select, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest, paged
from database.models import Lead, LeadImport, LeadImportChange
from database.sql_files import load_statement
from domain.lead_import import imported_lead_id


@dataclass(frozen=True, slots=True)
class UndoneBlock:
    """The result of undoing one block."""

    removed: int
    restored: int
    kept: int
    deltas: Mapping[UUID, int]
    """The change of the number of leads, by list."""
    enrolled: Sequence[UUID]
    """The removed leads that are enrolled in a sequence."""


# Waits for claims of these leads that are not committed yet, so that the next statement sees them; no claim can begin
# before this transaction ends.
_LOCK_LEADS = text(
    """
    SELECT count(*) FROM (
      SELECT lead.id FROM app.leads AS lead
       WHERE lead.id = ANY (ARRAY(
               SELECT made.id FROM app.leads AS made
                WHERE made.workspace_id = :workspace_id AND made.id BETWEEN :first_id AND :last_id
                UNION ALL
               SELECT change.lead_id FROM app.lead_import_changes AS change
                WHERE change.workspace_id = :workspace_id AND change.import_id = :import_id
                  AND change.line_number BETWEEN :first AND :last))
         -- Lock in id order to avoid deadlocks (database/locks.py).
       ORDER BY lead.id
         FOR NO KEY UPDATE) AS locked
    """
)

_UNDO = text(load_statement(__file__, "undo_block"))


async def undo_block(session: AsyncSession, record: LeadImport, lines: tuple[int, int]) -> UndoneBlock:
    """Undo what the rows between two lines changed, except leads that were changed or mailed since."""
    assert record.first_lead_id is not None
    parameters = {
        "workspace_id": record.workspace_id,
        "import_id": record.id,
        "first": lines[0],
        "last": lines[1],
        "first_id": imported_lead_id(record.first_lead_id, lines[0]),
        "last_id": imported_lead_id(record.first_lead_id, lines[1]),
    }
    await session.execute(_LOCK_LEADS, parameters)
    row = (await session.execute(_UNDO, parameters)).one()
    deltas = {UUID(list_id): int(leads) for list_id, leads in (row.deltas or {}).items()}
    return UndoneBlock(row.removed, row.restored, row.kept, deltas, row.enrolled)


async def list_kept_leads(
    session: AsyncSession, workspace_id: UUID, import_id: UUID, page: PageRequest
) -> Sequence[Row[UUID, str, int, str | None]]:
    """Return the leads that an undo kept: `id`, `email`, `line_number`, `kept_because`, one more than a page."""
    change = LeadImportChange
    statement = (
        select(Lead.id, Lead.email, change.line_number, change.kept_because)
        .join(Lead, and_(Lead.id == change.lead_id, Lead.workspace_id == workspace_id))
        .where(change.workspace_id == workspace_id, change.import_id == import_id, change.kept_because.is_not(None))
    )
    return (await session.execute(paged(statement, Lead.id, page))).all()
