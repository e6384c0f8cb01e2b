"""Asking Everlytic, all tenants at once within bounds, and what becomes of a tenant that fails."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from database.secrets import UndecipherableSecret
from everlytic.errors import EverlyticError
from orchestration.defs.everlytic.batches import Batches
from orchestration.defs.everlytic.records import Fetch, Window
from orchestration.defs.everlytic.resources import EverlyticAccounts, Tenant
from orchestration.defs.everlytic.transport import Hosts

TENANTS_AT_ONCE = 8


@dataclass(slots=True)
class Polled:
    """One tenant's answer: how many rows came, what could not be read of them, and why it ended early if it did."""

    tenant: Tenant
    fetched: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    error: str | None = None


async def poll(
    accounts: EverlyticAccounts,
    tenants: Sequence[Tenant],
    fetch: Fetch,
    window: Window,
    batches: Batches,
    now: Callable[[], datetime],
) -> list[Polled]:
    """Ask every tenant's account and land what comes; a tenant that fails carries its error and keeps what came.

    What goes wrong on our side (the database is away) ends the whole.
    """
    turn, hosts = asyncio.Semaphore(TENANTS_AT_ONCE), Hosts()

    async def ask(tenant: Tenant) -> Polled:
        polled = Polled(tenant)
        async with turn:
            try:
                async with accounts.client(tenant, hosts) as client:
                    async for row in fetch(client, window, lambda told: polled.unreadable.update([told])):
                        await batches.add({"workspace_id": str(tenant.workspace_id), **row})
                        polled.fetched += 1
            except (EverlyticError, UndecipherableSecret) as error:
                polled.error = _sentence(error, now())
        return polled

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(tenant)) for tenant in tenants]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    await batches.finish()
    return [task.result() for task in tasks]


def _sentence(error: Exception, now: datetime) -> str:
    said = f"{type(error).__name__}: {error}"
    seconds = error.retry_after if isinstance(error, EverlyticError) else None
    if seconds is None:
        return said
    # Within a year: a time further off is not meant, and may be no date at all.
    again = now + timedelta(seconds=min(seconds, 366 * 86_400))
    return f"{said} It may be asked again in {seconds:,.0f} s, at {again:%Y-%m-%d %H:%M:%S} UTC."
