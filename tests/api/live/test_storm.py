import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from random import Random

import httpx
import psycopg
import pytest

from api.live.queries import SharedQueries
from api.live.streaming import LiveQueries
from api.settings import ApiSettings
from tests.api.live.serving import Client, Listener, app_on, following, listening, serving
from tests.api.live.test_live import SOON, EndOfStream, Live, Rename, add_job, owner, rename, until

__all__ = ["owner", "rename"]

LONG = bool(os.environ.get("SALESMATTER_LONG_STORM"))
"""Set it to have 200 clients for a minute."""
CLIENTS, SECONDS = (200, 60.0) if LONG else (60, 6.0)

pytestmark = [pytest.mark.anyio, pytest.mark.own_app, pytest.mark.timeout(SECONDS + 120, func_only=True)]


@pytest.fixture
async def live(api_settings: ApiSettings, database_url: str, api_key: str) -> AsyncIterator[Live]:
    """Serve a separate process, to which all clients may reconnect any number of times."""
    async with serving(app_on(api_settings, database_url, rate_limit="off"), api_key) as live:
        yield live


async def write(base: str, http: httpx.AsyncClient, owner: psycopg.AsyncConnection, chance: Random) -> None:
    """Change the workspace, its leads and its jobs, through the API and with SQL, until cancelled."""
    number = 0
    while True:
        number += 1
        kind = chance.randrange(3)
        if kind == 0:
            await http.patch(base, json={"name": f"Name {number}"})
        elif kind == 1:
            await http.post(f"{base}/leads", json={"email": f"x{number}@lead.example"})
        else:
            await add_job(owner, base.rpartition("/")[2])
        await asyncio.sleep(chance.random() / 20)


async def cut_often(clients: list[Client], chance: Random) -> None:
    """Close random connections, one or many at a time, until cancelled."""
    while True:
        for client in chance.sample(clients, chance.choice([1, 1, 2, 5, len(clients) // 4])):
            client.cut()
        await asyncio.sleep(chance.random() / 10)


async def test_clients_are_right_after_a_storm_of_disconnects(
    live: Live, app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Connections are closed at random during writes; each client reconnects with its tag, with or without patches.

    In the end each client has exactly the plain result, and the server has nothing of disconnected clients.
    """
    base = f"/api/workspaces/{workspace}"
    urls = [base, f"{base}/leads", f"{base}/jobs", "/api/workspaces"]
    clients = [Client(live, urls[number % 4], by_patch=number % 3 == 0) for number in range(CLIENTS)]
    tasks_before = len(asyncio.all_tasks())
    async with following(*clients):
        storm = [
            asyncio.create_task(write(base, app_client, owner, Random(1))),
            asyncio.create_task(cut_often(clients, Random(2))),
        ]
        ended, _ = await asyncio.wait(storm, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in storm:
            task.cancel()
        await asyncio.gather(*storm, return_exceptions=True)
        assert not ended, [task.exception() for task in ended]
        plain = {url: (await live.http.get(url)).raise_for_status().json() for url in urls}
        right = [client for client in clients if client.state == plain[client.url]]
        async with asyncio.timeout(4 * SOON):
            while len(right) < CLIENTS:
                await asyncio.sleep(0.05)
                right = [client for client in clients if client.state == plain[client.url]]
        assert sum(client.times for client in clients) > 2 * CLIENTS
        assert any(client.patches for client in clients)
    await until(lambda: not live.server.server_state.tasks, within=4 * SOON)
    await until(lambda: not live.app.state.follower._subscriptions())
    await until(lambda: len(asyncio.all_tasks()) <= tasks_before)
    assert not queries_of(live)._shared
    assert not queries_of(live)._running


def queries_of(live: Live) -> SharedQueries:
    """Return the shared queries of the process."""
    layer = live.app.middleware_stack
    while not isinstance(layer, LiveQueries):
        layer = getattr(layer, "app", None) or layer._app  # type: ignore[union-attr]
    return layer._queries


async def to_the_end(stream: Listener) -> None:
    """Read until an exception is raised."""
    while True:
        await stream.next()


async def test_a_stop_ends_every_stream(live: Live, workspace: str, rename: Rename) -> None:
    """Streams of several queries, one of them running: all end with a complete response, and then the process ends."""
    paths = ["", "/jobs", "/leads", "?delta=json-patch"] * 5
    async with AsyncExitStack() as opened:
        streams = [
            await opened.enter_async_context(listening(live, f"/api/workspaces/{workspace}{path}")) for path in paths
        ]
        for stream in streams:
            await stream.next()
        await rename("Renamed")
        live.server.should_exit = True
        for stream in streams:
            with pytest.raises(EndOfStream):
                await to_the_end(stream)
        async with asyncio.timeout(SOON):
            await live.serving
