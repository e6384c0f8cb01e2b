import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

from api.live.service import Follower
from api.live.service import follow_changes as running_follower
from api.settings import ApiSettings
from database.embedded import start
from database.migrate import migrate
from database.roles import owner_url
from tests.api.live.serving import MINUTES, Client, app_on, following, serving
from tests.api.live.test_live import SOON, Live, Rename, rename
from tests.postgres import create_database, drop_database, ensure_template, new_home, remove_home

__all__ = ["rename"]

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120, func_only=True)]

BACK = 30.0
_POSTMASTER = "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int, pg_postmaster_start_time()"


@dataclass(frozen=True, slots=True)
class OwnServer:
    """A Postgres server that a test may crash; its supervisor starts it again on the same port."""

    url: str

    async def crash(self) -> None:
        """Kill it, and wait until it has recovered."""
        process, started = await self._read_process()
        os.kill(int(str(process)), signal.SIGKILL)
        async with asyncio.timeout(BACK):
            while True:
                try:
                    if (await self._read_process())[1] != started:
                        return
                except psycopg.OperationalError:
                    await asyncio.sleep(0.02)

    async def _read_process(self) -> tuple[object, ...]:
        async with await psycopg.AsyncConnection.connect(self.url, connect_timeout=5) as connection:
            found = await (await connection.execute(_POSTMASTER)).fetchone()
        assert found is not None
        return found


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """Start a durable server."""
    home: Path = new_home()
    with start(home) as running:
        ensure_template(running.url, "template_of_faults", lambda url: migrate(owner_url(url)))
        yield OwnServer(running.url)
    remove_home(home)


@pytest.fixture
def database_url(server: OwnServer) -> Iterator[str]:
    """Return a database on that server, instead of the shared one."""
    name = f"test_{uuid4().hex}"
    yield create_database(server.url, name, template="template_of_faults")
    drop_database(server.url, name)


@pytest.fixture
async def live(api_settings: ApiSettings, database_url: str, api_key: str) -> AsyncIterator[Live]:
    """Serve a process that polls every ten minutes: earlier results come by notifications or resets."""
    app = app_on(api_settings, database_url, poll_milliseconds=MINUTES)
    async with serving(app, api_key) as live:
        yield live


async def lines(database_url: str) -> set[object]:
    """Return the server processes of the API's LISTEN connections."""
    return {
        line
        for (line,) in await psql(
            database_url,
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'salesmatter-listen' AND state = 'idle'"
            " AND query LIKE 'LISTEN%' AND datname = current_database()",
        )
    }


async def psql(database_url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement without a notification."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        done = await connection.execute(statement.encode())
        return await done.fetchall() if done.description else []


async def hear(clients: list[Client], name: str) -> None:
    """Wait until all clients have received the workspace's name."""
    async with asyncio.timeout(BACK):
        while not all(client.state and client.state["name"] == name for client in clients):  # noqa: ASYNC110 - there is a deadline
            await asyncio.sleep(0.01)


async def insist(rename: Rename, name: str) -> None:
    """Rename through the other process, as soon as it has its database again."""
    async with asyncio.timeout(BACK):
        while True:
            try:
                await rename(name)
            except httpx.HTTPStatusError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_streams_continue_after_a_restart_of_postgres(
    live: Live, server: OwnServer, database_url: str, workspace: str, rename: Rename
) -> None:
    """A commit without a notification before the crash arrives after it, and so do later commits."""
    url = f"/api/workspaces/{workspace}"
    clients = [Client(live, url), Client(live, url, by_patch=True), Client(live, url)]
    async with following(*clients):
        await hear(clients, "Outbound")
        for number in range(2):
            await psql(database_url, f"UPDATE app.workspaces SET name = 'Before {number}'")
            await server.crash()
            await hear(clients, f"Before {number}")
            await insist(rename, f"After {number}")
            await hear(clients, f"After {number}")


async def test_a_lost_connection_is_opened_again(live: Live, database_url: str, workspace: str, rename: Rename) -> None:
    """A commit during a lost LISTEN connection arrives, and the next notification is received."""
    url = f"/api/workspaces/{workspace}"
    clients = [Client(live, url), Client(live, url)]
    async with following(*clients):
        await hear(clients, "Outbound")
        for number in range(2):
            cut = await lines(database_url)
            assert cut
            for line in cut:
                await psql(database_url, f"SELECT pg_terminate_backend({line})")
            await psql(database_url, f"UPDATE app.workspaces SET name = 'Unheard {number}'")
            await hear(clients, f"Unheard {number}")
            await rename(f"Heard {number}")
            await hear(clients, f"Heard {number}")
        assert [client.times for client in clients] == [1, 1]


async def crashed_behind(follower: Follower, server: OwnServer, database_url: str) -> int:
    """Let the follower see transactions that are missing in Postgres' log, and crash; returns the last one."""
    for _ in range(50):
        await psql(database_url, "BEGIN; SELECT pg_current_xact_id(); ROLLBACK")
    before = follower._snapshot
    follower.notify()
    async with asyncio.timeout(BACK):
        while follower._snapshot == before:  # noqa: ASYNC110 - there is a deadline
            await asyncio.sleep(0.01)
    seen_up_to = int(follower._snapshot.split(":")[1])
    await server.crash()
    return seen_up_to


async def test_a_crash_reuses_transaction_ids(server: OwnServer, database_url: str) -> None:
    """A transaction after the crash is seen, although its id is that of one that was rolled back before."""
    workspace = uuid4()
    insert = f"INSERT INTO app.changes (workspace_id, table_name) VALUES ('{workspace}', 'leads')"
    async with running_follower(owner_url(database_url), poll_seconds=MINUTES / 1000) as follower:
        with follower.subscribe() as subscription:
            follower.narrow(subscription, [workspace], ["leads"])
            # Now and then Postgres happens to note in its log how far it has come.
            for _ in range(5):
                seen_up_to = await crashed_behind(follower, server, database_url)
                async with asyncio.timeout(BACK):
                    await subscription.woken.wait()
                subscription.woken.clear()
                ((again,),) = await psql(database_url, f"{insert} RETURNING transaction_id::text")
                follower.notify()
                async with asyncio.timeout(SOON):
                    await subscription.woken.wait()
                subscription.woken.clear()
                if int(str(again)) < seen_up_to:
                    return
    pytest.fail("Postgres never handed out an id again.")
