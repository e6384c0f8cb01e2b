"""The job that deletes files which are kept no longer."""

from uuid import UUID

from api.http.resources import Services
from api.imports import service
from api.jobs.engine import Deferred, Work


async def expire_import(work: Work[Services]) -> None:
    """Delete an import's file once nobody can commit or undo it any more; running again changes nothing."""
    async with work.transaction() as session:
        kept_until = await service.expire_import(
            session, work.workspace_id, UUID(work.payload["importId"]), work.clock.now()
        )
    if kept_until is not None:
        raise Deferred(kept_until, "The file is still kept.")
