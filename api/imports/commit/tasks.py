"""The job that turns an import's rows into leads."""

from uuid import UUID

from sqlalchemy.exc import DataError, IntegrityError

from api.http.resources import Services
from api.imports.commit import service
from api.jobs.engine import Unrecoverable, Work


async def commit_import(work: Work[Services]) -> None:
    """Commit an import block by block; one that was cut short goes on behind its last block."""
    import_id = UUID(work.payload["importId"])
    is_going = True
    try:
        while is_going:
            async with work.transaction() as session:
                is_going = await service.commit_block(session, work.workspace_id, import_id, work.clock.now())
    except (DataError, IntegrityError) as error:
        reason = f"The database refused the rows: {error.orig}"
        async with work.transaction() as session:
            await service.fail_import(session, work.workspace_id, import_id, reason)
        raise Unrecoverable(reason) from error
    except Exception:
        if work.attempt >= service.MAX_ATTEMPTS:
            reason = f"It was tried {work.attempt} times; its job says why that failed. Commit it again to go on."
            async with work.transaction() as session:
                await service.fail_import(session, work.workspace_id, import_id, reason)
        raise
