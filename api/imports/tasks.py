"""The jobs of imports: committing a file's rows, undoing that, and deleting files that are no longer stored."""

from uuid import UUID

from sqlalchemy.exc import DataError, IntegrityError

from api.http.resources import Services
from api.imports import commit, service, undo
from api.jobs.engine import Deferred, Unrecoverable, Work


async def commit_import(work: Work[Services]) -> None:
    """Commit an import block by block; a commit that was interrupted continues after its last block."""
    import_id = UUID(work.payload["importId"])
    is_going = True
    try:
        while is_going:
            async with work.transaction() as session:
                is_going = await commit.commit_block(session, work.workspace_id, import_id, work.clock.now())
    except (DataError, IntegrityError) as error:
        reason = f"The database refused the rows: {error.orig}"
        async with work.transaction() as session:
            await commit.fail_import(session, work.workspace_id, import_id, reason)
        raise Unrecoverable(reason) from error
    except Exception:
        if work.attempt >= commit.MAX_ATTEMPTS:
            reason = f"It was tried {work.attempt} times; its job says why that failed. Commit it again to go on."
            async with work.transaction() as session:
                await commit.fail_import(session, work.workspace_id, import_id, reason)
        raise


async def undo_import(work: Work[Services]) -> None:
    """Undo an import block by block; an undo that was interrupted continues after its last block."""
    is_going = True
    while is_going:
        async with work.transaction() as session:
            import_id = UUID(work.payload["importId"])
            is_going = await undo.undo_block(session, work.workspace_id, import_id, work.clock.now())


async def expire_import(work: Work[Services]) -> None:
    """Delete the file of an import when its retention ends; running it again changes nothing."""
    async with work.transaction() as session:
        stored_until = await service.expire_import(
            session, work.workspace_id, UUID(work.payload["importId"]), work.clock.now()
        )
    if stored_until is not None:
        raise Deferred(stored_until, "The file is still stored.")
