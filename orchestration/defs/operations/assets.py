"""What the pipeline asks of the operational side: per workspace, to apply what was polled and to take in the counts."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import dagster as dg
from sqlalchemy.ext.asyncio import AsyncEngine

from database.jobs import Job, enqueue
from database.tenancy import Scope, transaction
from orchestration.defs.everlytic.assets import callback_events, campaign_reports, transactions
from orchestration.defs.everlytic.resources import EverlyticAccounts
from orchestration.defs.operations.resources import BusinessClock, Database

JOB_TYPES = ("apply_provider_events", "sync_analytics")


@dg.asset(
    key=["operations", "requested_jobs"],
    deps=[transactions, callback_events, campaign_reports],
    group_name="operations",
    kinds={"python", "postgres"},
)
def requested_jobs(
    context: dg.AssetExecutionContext, database: Database, everlytic: EverlyticAccounts, clock: BusinessClock
) -> dg.MaterializeResult[None]:
    """The jobs that follow a sync, once per run and workspace: the API's worker applies and announces what came."""
    with database.connect() as connection:
        workspaces = [tenant.workspace_id for tenant in everlytic.tenants(connection)]
    queued = asyncio.run(_request(database.pool(), workspaces, context.run.run_id, clock.now()))
    return dg.MaterializeResult(metadata={"workspaces": len(workspaces), "jobs": queued})


async def _request(pool: AsyncEngine, workspaces: Sequence[UUID], run_id: str, due: datetime) -> int:
    queued = 0
    try:
        for workspace_id in workspaces:
            async with transaction(pool, Scope(workspace_id=workspace_id)) as session:
                for job_type in JOB_TYPES:
                    queued += await enqueue(session, job_type, workspace_id, [Job(due, dedupe_key=run_id)])
    finally:
        await pool.dispose()
    return queued
