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

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(SECONDS + 120, func_only=True)]


@pytest.fixture
async def live(api_settings: ApiSettings, database_url: str, api_key: str) -> AsyncIterator[Live]:
    """Serve a process of its own, to which all clients of a storm may come back as often as they are cut off."""
    async with serving(app_on(api_settings, database_url, rate_limit="off"), api_key) as live:
        yield live


async def write(base: str, http: httpx.AsyncClient, owner: psycopg.AsyncConnection, chance: Random) -> None:
    """Change the workspace, its leads and its jobs, through the API and by hand, until cancelled."""
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
    """Cut lines at random, now one and now many, until cancelled."""
    while True:
        for client in chance.sample(clients, chance.choice([1, 1, 2, 5, len(clients) // 4])):
            client.cut()
        await asyncio.sleep(chance.random() / 10)


async def test_a_storm_of_disconnects_leaves_everybody_right(
    live: Live, app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Lines are cut at random under writes; each client comes back with what it knows, by patches or by whole results.

    In the end each holds exactly what the plain GET answers, and the server holds nothing for those who are gone.
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
    """Return the queries that the process shares among its streams."""
    layer = live.app.middleware_stack
    while not isinstance(layer, LiveQueries):
        layer = getattr(layer, "app", None) or layer._app  # type: ignore[union-attr]
    return layer._queries


async def to_the_end(stream: Listener) -> None:
    """Read until something is raised."""
    while True:
        await stream.next()


async def test_a_stop_ends_every_stream_in_order(live: Live, workspace: str, rename: Rename) -> None:
    """Streams of several queries, one of them just now at work: all end as HTTP wants it, and then the process."""
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
