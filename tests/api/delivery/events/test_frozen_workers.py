"""A worker that stops inside a transaction keeps the others from nothing."""

import asyncio
import contextlib
import signal
import sys

import psycopg
import pytest

from database.roles import APP_ROLE, ENGINE_ROLE, IDLE_TIMEOUT
from tests import ROOT
from tests.api.delivery.events import applying_worker
from tests.api.delivery.events.worlds import Provider, pushed

pytestmark = pytest.mark.anyio

WAITING = "SELECT pid FROM pg_stat_activity WHERE usename = %s AND wait_event = 'relation' AND pid <> pg_backend_pid()"
IDLE = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = 'idle in transaction'"
MOST_POLLS = 3000


@pytest.mark.timeout(180)
async def test_another_worker_goes_on_after_a_worker_froze(provider: Provider) -> None:
    """A worker process is frozen while its transaction holds the workspace's events; another one applies them."""
    (draft_id,) = await provider.send()
    await provider.push(pushed("delivered", draft_id, 60))
    command = [sys.executable, "-m", applying_worker.__name__, provider.database_url]
    async with await psycopg.AsyncConnection.connect(provider.database_url, autocommit=True) as owner:
        await owner.execute("UPDATE app.scheduled_jobs SET run_at = '2000-01-01'")
        async with owner.transaction():
            # The worker holds the lock of the workspace's events, and waits here to store the first one.
            await owner.execute("LOCK TABLE app.email_events IN EXCLUSIVE MODE")
            worker = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=asyncio.subprocess.PIPE)
            try:
                frozen_pid = await poll(provider, WAITING, APP_ROLE)
                worker.send_signal(signal.SIGSTOP)
            except BaseException:
                worker.kill()
                raise
        try:
            assert await poll(provider, IDLE, frozen_pid) == 1
            assert await provider.events(draft_id) == []
            await provider.apply()
            assert [event["type"] for event in await provider.events(draft_id)] == ["delivered"]
        finally:
            worker.kill()
            await worker.wait()


async def test_every_connection_of_the_roles_has_the_timeout(provider: Provider) -> None:
    """Both roles have the timeout as a setting of the role, which a pooler cannot lose."""
    rows = await provider.ask(
        "SELECT rolname, rolconfig FROM pg_roles WHERE rolname = ANY(%s)", [[APP_ROLE, ENGINE_ROLE]]
    )
    assert {name: f"idle_in_transaction_session_timeout={IDLE_TIMEOUT}" in config for name, config in rows} == {
        APP_ROLE: True,
        ENGINE_ROLE: True,
    }


async def poll(provider: Provider, query: str, value: object) -> int:
    """Return the first value that a query finds, as soon as it finds a row."""
    for _ in range(MOST_POLLS):
        if rows := await provider.ask(query, [value]):
            return int(rows[0][0])
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), timeout=0.01)
    raise AssertionError("not so in time")
