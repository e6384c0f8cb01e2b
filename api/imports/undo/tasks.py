"""The job that takes back what a commit did."""

from uuid import UUID

from api.http.resources import Services
from api.imports.undo import service
from api.jobs.engine import Work


async def undo_import(work: Work[Services]) -> None:
    """Undo an import block by block; one that was cut short goes on behind its last block."""
    is_going = True
    while is_going:
        async with work.transaction() as session:
            import_id = UUID(work.payload["importId"])
            is_going = await service.undo_block(session, work.workspace_id, import_id, work.clock.now())
