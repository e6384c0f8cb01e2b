import asyncio
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from api.settings import ApiSettings
from tests.api.jobs import pooler
from tests.api.live.serving import MINUTES, Client, app_on, following, listening, serving
from tests.api.live.test_live import SOON, Live, Rename, add_job, owner, rename
from tests.optional_programs import skip_reason

__all__ = ["owner", "rename"]

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(pooler.PROGRAM is None, reason=skip_reason("pgbouncer")),
]


@pytest.fixture
def pooled_url(database_url: str) -> Iterator[str]:
    """Run a pooler in transaction mode in front of the test's database."""
    with pooler.pooled(database_url) as url:
        yield url


@pytest.fixture
async def live(api_settings: ApiSettings, database_url: str, pooled_url: str, api_key: str) -> AsyncIterator[Live]:
    """Serve a process that queries through the pooler, listens without it, and polls every ten minutes."""
    app = app_on(api_settings, pooled_url, direct=database_url, poll_milliseconds=MINUTES)
    async with serving(app, api_key) as live:
        yield live


async def test_queries_use_the_pooler_and_notifications_do_not(live: Live, workspace: str, rename: Rename) -> None:
    """Commits of another process arrive repeatedly, for one query and for many on one connection."""
    url = f"/api/workspaces/{workspace}"
    clients = [Client(live, url), Client(live, url, by_patch=True), Client(live, f"{url}/jobs")]
    batch = f"{url}/live?query={url}&query={url}/jobs"
    async with following(*clients), listening(live, batch) as many:
        await many.next()
        for number in range(20):
            await rename(f"Name {number}")
            while (await many.next()).result["results"][0]["result"]["name"] != f"Name {number}":
                pass
        async with asyncio.timeout(SOON):
            while {client.state and client.state.get("name") for client in clients[:2]} != {"Name 19"}:  # noqa: ASYNC110 - there is a deadline
                await asyncio.sleep(0.01)


async def test_a_write_through_the_pooler_is_notified(
    live: Live, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """The process notifies its commits through the pooler; an earlier commit by SQL is seen with them."""
    url = f"/api/workspaces/{workspace}"
    async with listening(live, url) as stream, listening(live, f"{url}/jobs") as jobs:
        await stream.next()
        await jobs.next()
        await add_job(owner, workspace)
        (await live.http.patch(url, json={"name": "Renamed"})).raise_for_status()
        assert (await stream.next()).result["name"] == "Renamed"
        assert len((await jobs.next()).result["items"]) == 1
