"""Taking back what a commit did, block by block; what somebody has worked with since stays, and is listed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest
from api.imports import repository as files
from api.imports import service as imports
from api.imports.repository import Span
from api.imports.undo import repository
from api.outreach.enrollment_status import service as enrollment_status
from api.people.lead_lists import service as lists
from database import jobs
from database.landing import allow_long_statements
from database.models import LeadImport
from domain.enrollment import EnrollmentEvent
from domain.lead_import import ImportEvent, ImportState, next_state

UNDO_IMPORT = "undo_import"
MAX_ATTEMPTS = 20
"""An undo goes on where it stopped: trying again costs nothing that was done."""
CAUSE = "the import of the lead was undone"


async def start_undo(session: AsyncSession, workspace_id: UUID, import_id: UUID, now: datetime) -> LeadImport:
    """Have what a commit did taken back by a job.

    Raises NotFound, InvalidTransition where nothing was committed or something is under way, and Conflict after the
    30 days.
    """
    found = await imports.lock_import(session, workspace_id, import_id)
    state = next_state(ImportState(found.state), ImportEvent.UNDO_STARTED)
    await imports.require_stored_file(session, found, now)
    values: dict[str, Any] = {"state": state, "error": None, "processed_count": 0, "next_block": 0}
    values |= {"removed_count": 0, "restored_count": 0, "kept_count": 0}
    started = await files.change_import(session, workspace_id, import_id, values)
    job = jobs.Job(now, {"importId": str(import_id)})
    await jobs.enqueue(session, UNDO_IMPORT, workspace_id, [job], max_attempts=MAX_ATTEMPTS)
    return started


async def undo_block(session: AsyncSession, workspace_id: UUID, import_id: UUID, now: datetime) -> bool:
    """Take back what the next block of an import did, or note that none is left; returns whether there is more to do.

    Goes on behind what was taken back, after a crash too. Does nothing for an import that is not being undone.
    """
    found = await files.find_import(session, workspace_id, import_id, hold=True)
    if found is None or found.state != ImportState.UNDOING:
        return False
    blocks = await files.list_blocks(session, workspace_id, import_id)
    if found.next_block < len(blocks):
        await _take_back(session, found, blocks[found.next_block], now)
        return True
    # The list that the commit made goes when nobody is left in it.
    if found.list_id is not None:
        await lists.delete_if_empty(session, workspace_id, found.list_id)
    done = {"state": next_state(ImportState.UNDOING, ImportEvent.UNDO_DONE), "undone_at": now}
    await files.change_import(session, workspace_id, import_id, done)
    return False


async def _take_back(session: AsyncSession, found: LeadImport, block: Span, now: datetime) -> None:
    await allow_long_statements(session)
    await lists.lock_shared(session, found.workspace_id, [found.list_id] if found.list_id else [])
    taken = await repository.undo_block(session, found, block.lines)
    await enrollment_status.apply_event_to_leads(
        session, found.workspace_id, EnrollmentEvent.PAUSED, taken.enrolled, cause=CAUSE, now=now
    )
    await lists.change_counts(session, found.workspace_id, taken.deltas)
    progress = {
        "processed_count": found.processed_count + block.row_count,
        "next_block": found.next_block + 1,
        "removed_count": (found.removed_count or 0) + taken.removed,
        "restored_count": (found.restored_count or 0) + taken.restored,
        "kept_count": (found.kept_count or 0) + taken.kept,
    }
    await files.change_import(session, found.workspace_id, found.id, progress)


async def list_kept_leads(
    session: AsyncSession, workspace_id: UUID, import_id: UUID, page: PageRequest
) -> Sequence[Row[UUID, str, int, str | None]]:
    """Return the leads that an undo left as they are, newest first, one more than the page holds; raises NotFound."""
    await imports.get_import(session, workspace_id, import_id)
    return await repository.list_kept_leads(session, workspace_id, import_id, page)
