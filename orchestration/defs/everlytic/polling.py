"""Polls the Everlytic accounts of all tenants, a bounded number at once, and records which tenants failed."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from database.secrets import UndecipherableSecret
from everlytic.errors import EverlyticError
from orchestration.defs.everlytic.batches import BatchWriter
from orchestration.defs.everlytic.records import FetchRows, PollWindow
from orchestration.defs.everlytic.resources import EverlyticAccounts, Tenant
from orchestration.defs.everlytic.transport import HostThrottles

MAX_CONCURRENT_TENANTS = 8
MAX_CONCURRENT_PER_HOST = 4
"""A slow host holds no more places than these, so the tenants of other hosts are polled meanwhile."""


@dataclass(slots=True)
class PollResult:
    """Result of polling one tenant: rows fetched, records that could not be read, and the error if it failed."""

    tenant: Tenant
    fetched: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    error: str | None = None


async def poll_tenants(
    accounts: EverlyticAccounts,
    tenants: Sequence[Tenant],
    fetch: FetchRows,
    window: PollWindow,
    batches: BatchWriter,
    now: Callable[[], datetime],
) -> list[PollResult]:
    """Poll every tenant and land its rows; a tenant that fails carries its error and keeps the rows it already landed.

    A tenant that still waits for its place after `poll_seconds` fails too. An error on our side, such as an unreachable
    database, ends the whole poll.
    """
    semaphore, throttles = asyncio.Semaphore(MAX_CONCURRENT_TENANTS), HostThrottles()
    hosts = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(MAX_CONCURRENT_PER_HOST))
    stop_at = asyncio.get_running_loop().time() + accounts.poll_seconds

    async def poll_tenant(tenant: Tenant) -> PollResult:
        result = PollResult(tenant)
        async with hosts[urlsplit(tenant.tenant_url).netloc.lower()], semaphore:
            if asyncio.get_running_loop().time() > stop_at:
                result.error = "It was not polled in this run, because other tenants of its host took too long."
                return result
            try:
                async with accounts.open_client(tenant, throttles) as client:
                    async for row in fetch(client, window, lambda problem: result.unreadable.update([problem])):
                        await batches.add({"workspace_id": str(tenant.workspace_id), **row})
                        result.fetched += 1
            except (EverlyticError, UndecipherableSecret) as error:
                result.error = _describe_error(error, now())
        return result

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(poll_tenant(tenant)) for tenant in tenants]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    await batches.flush()
    return [task.result() for task in tasks]


def _describe_error(error: Exception, now: datetime) -> str:
    seconds = error.retry_after if isinstance(error, EverlyticError) else None
    if seconds is None:
        return str(error)
    # Cap at a year: a later time is a mistake of the provider, and may lie outside the range of datetime.
    retry_at = now + timedelta(seconds=min(seconds, 366 * 86_400))
    return f"{error} It can be polled again in {seconds:,.0f} s, at {retry_at:%Y-%m-%d %H:%M:%S} UTC."
