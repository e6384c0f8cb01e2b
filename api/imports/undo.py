"""Undos of imports: what a commit changed is restored, block by block; leads that were changed or mailed since stay."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest
from api.imports import service
from api.imports.repository import undo as repository
from api.imports.repository import uploads
from api.imports.repository.uploads import Span
from api.outreach.enrollment_status import service as enrollment_status
from api.people.lead_lists import service as lists
from database import jobs
from database.landing import allow_long_statements
from database.models import LeadImport
from domain.enrollment import EnrollmentEvent
from domain.job_types import UNDO_IMPORT
from domain.lead_import import ImportEvent, ImportState, next_state

MAX_ATTEMPTS = 20
"""An undo continues where it stopped, so a retry repeats nothing."""
CAUSE = "the import of the lead was undone"


async def start_undo(session: AsyncSession, workspace_id: UUID, import_id: UUID, now: datetime) -> LeadImport:
    """Start the job that undoes a commit.

    Raises NotFound, InvalidTransition if nothing is committed or a job works on it, and Conflict after 30 days.
    """
    record = await service.lock_import(session, workspace_id, import_id)
    state = next_state(ImportState(record.state), ImportEvent.UNDO_STARTED)
    await service.require_stored_file(session, record, now)
    values: dict[str, Any] = {"state": state, "error": None, "processed_count": 0, "next_block": 0}
    values |= {"removed_count": 0, "restored_count": 0, "kept_count": 0}
    started = await uploads.change_import(session, workspace_id, import_id, values)
    job = jobs.Job(now, {"importId": str(import_id)})
    await jobs.enqueue(session, UNDO_IMPORT, workspace_id, [job], max_attempts=MAX_ATTEMPTS)
    return started


async def undo_block(session: AsyncSession, workspace_id: UUID, import_id: UUID, now: datetime) -> bool:
    """Undo the next block of an import, or end the undo after the last; returns whether more is to do.

    The next call continues after this block, even after a crash. Does nothing for an import that is not being undone.
    """
    record = await uploads.find_import(session, workspace_id, import_id, lock=True)
    if record is None or record.state != ImportState.UNDOING:
        return False
    blocks = await uploads.list_blocks(session, workspace_id, import_id)
    if record.next_block < len(blocks):
        await _undo_block(session, record, blocks[record.next_block], now)
        return True
    # Delete the list that the commit created, if no lead is left in it.
    if record.list_id is not None:
        await lists.delete_if_empty(session, workspace_id, record.list_id)
    done = {"state": next_state(ImportState.UNDOING, ImportEvent.UNDO_DONE), "undone_at": now}
    await uploads.change_import(session, workspace_id, import_id, done)
    return False


async def _undo_block(session: AsyncSession, record: LeadImport, block: Span, now: datetime) -> None:
    await allow_long_statements(session)
    await lists.lock_shared(session, record.workspace_id, [record.list_id] if record.list_id else [])
    undone = await repository.undo_block(session, record, block.lines)
    await enrollment_status.apply_event_to_leads(
        session, record.workspace_id, EnrollmentEvent.PAUSED, undone.enrolled, cause=CAUSE, now=now
    )
    await lists.change_counts(session, record.workspace_id, undone.deltas)
    progress = {
        "processed_count": record.processed_count + block.row_count,
        "next_block": record.next_block + 1,
        "removed_count": (record.removed_count or 0) + undone.removed,
        "restored_count": (record.restored_count or 0) + undone.restored,
        "kept_count": (record.kept_count or 0) + undone.kept,
    }
    await uploads.change_import(session, record.workspace_id, record.id, progress)


async def list_kept_leads(
    session: AsyncSession, workspace_id: UUID, import_id: UUID, page: PageRequest
) -> Sequence[Row[UUID, str, int, str | None]]:
    """Return the leads that an undo kept, newest first, one more than the page holds; raises NotFound."""
    await service.get_import(session, workspace_id, import_id)
    return await repository.list_kept_leads(session, workspace_id, import_id, page)
