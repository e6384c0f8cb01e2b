"""Jobs that apply what the provider reports."""

from api.delivery.events import repository, service
from api.http.resources import Services
from api.jobs.engine import Work


async def apply_provider_events(work: Work[Services]) -> None:
    """Apply the workspace's unapplied provider rows, one batch in each transaction, until none is left."""
    async with work.transaction() as session:
        # Rows that are being stored now are visible to the transactions that begin after this one.
        await repository.lock_intake_exclusive(session, work.workspace_id)
    while True:
        async with work.transaction() as session:
            rows = await service.lock_provider_rows(session, work.workspace_id)
            if not rows:
                return
            await service.apply_provider_rows(session, work.workspace_id, rows, work.clock.now())


async def sync_analytics(work: Work[Services]) -> None:
    """After a sync, record the sends of unknown outcome that Everlytic's transaction list contains as accepted."""
    async with work.transaction() as session:
        await service.accept_listed_sends(session, work.workspace_id, work.clock.now())
