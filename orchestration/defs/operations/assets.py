"""Dagster asset that queues the jobs which follow a sync in each workspace."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import dagster as dg
from sqlalchemy.ext.asyncio import AsyncEngine

from database.jobs import Job, enqueue
from database.tenancy import Scope, transaction
from domain.job_types import APPLY_PROVIDER_EVENTS, SYNC_ANALYTICS
from orchestration.defs.everlytic.assets import callback_events, campaign_reports, transactions
from orchestration.defs.everlytic.resources import EverlyticAccounts
from orchestration.defs.operations.resources import BusinessClock, Database

JOB_TYPES = (APPLY_PROVIDER_EVENTS, SYNC_ANALYTICS)


@dg.asset(
    key=["operations", "requested_jobs"],
    deps=[transactions, callback_events, campaign_reports],
    group_name="operations",
    kinds={"python", "postgres"},
)
def requested_jobs(
    context: dg.AssetExecutionContext, database: Database, everlytic: EverlyticAccounts, clock: BusinessClock
) -> dg.MaterializeResult[None]:
    """Jobs queued after a sync, one of each type per run and workspace: the worker applies the polled records."""
    with database.connect() as connection:
        workspaces = [tenant.workspace_id for tenant in everlytic.load_tenants(connection)]
    job_count = asyncio.run(_enqueue_jobs(database.open_pool(), workspaces, context.run.run_id, clock.now()))
    return dg.MaterializeResult(metadata={"workspaces": len(workspaces), "jobs": job_count})


async def _enqueue_jobs(pool: AsyncEngine, workspaces: Sequence[UUID], run_id: str, due: datetime) -> int:
    job_count = 0
    try:
        for workspace_id in workspaces:
            async with transaction(pool, Scope(workspace_id=workspace_id)) as session:
                for job_type in JOB_TYPES:
                    job_count += await enqueue(session, job_type, workspace_id, [Job(due, dedupe_key=run_id)])
    finally:
        await pool.dispose()
    return job_count
