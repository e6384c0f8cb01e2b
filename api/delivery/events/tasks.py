"""Applying what the provider told us."""

from api.delivery.events import service
from api.http.resources import Services
from api.jobs.engine import Work


async def apply_provider_events(work: Work[Services]) -> None:
    """Apply the workspace's unapplied provider rows, a batch a transaction, until none is left."""
    async with work.transaction() as session:
        await service.await_intake(session, work.workspace_id)
    while True:
        async with work.transaction() as session:
            rows = await service.take_provider_rows(session, work.workspace_id)
            if not rows:
                return
            await service.apply_provider_rows(session, work.workspace_id, rows, work.clock.now())


async def sync_analytics(work: Work[Services]) -> None:
    """Let the operational side learn what a sync has landed: sends of unknown outcome that Everlytic lists."""
    async with work.transaction() as session:
        await service.settle_unknown_sends(session, work.workspace_id, work.clock.now())
