import asyncio
from collections.abc import AsyncIterator
from random import Random

import psycopg
import pytest

from api.settings import ApiSettings
from tests.api.live.serving import app_on, listening, serving
from tests.api.live.test_live import EndOfStream, Live, Rename, owner, rename

__all__ = ["owner", "rename"]

pytestmark = pytest.mark.anyio

WRITES, READERS, PER_SECOND = 150, 12, 40.0
AGE = 0.5


@pytest.fixture
async def live(api_settings: ApiSettings, database_url: str, api_key: str) -> AsyncIterator[Live]:
    """Serve a process whose streams last at most half a second."""
    app = app_on(api_settings, database_url, live_results_per_second=PER_SECOND, live_stream_seconds=AGE)
    async with serving(app, api_key) as live:
        yield live


class Counted:
    """A workspace whose name is an increasing number, and the numbers that each reader has seen."""

    def __init__(self, live: Live, workspace: str, owner: psycopg.AsyncConnection, rename: Rename) -> None:
        self.live, self.url, self._owner, self._rename = live, f"/api/workspaces/{workspace}", owner, rename
        self.committed = 0

    async def write(self, chance: Random) -> None:
        """Count up, with SQL and through the API, in bursts and with pauses."""
        for number in range(1, WRITES + 1):
            if chance.random() < 0.5:
                await self._rename(str(number))
            else:
                await self._owner.execute(f"UPDATE app.workspaces SET name = '{number}'".encode())
            self.committed = number
            if chance.random() < 0.2:
                await asyncio.sleep(chance.random() / 20)

    async def read(self, chance: Random) -> list[int]:
        """Join at any time, then read to the last number, with reconnects; returns the numbers."""
        await asyncio.sleep(chance.random())
        seen: list[int] = []
        known = ""
        while not seen or seen[-1] != WRITES:
            committed, is_first = self.committed, True
            async with listening(self.live, self.url, Last_Event_ID=known) as stream:
                try:
                    while not seen or seen[-1] != WRITES:
                        event = await stream.next()
                        assert event.id != known
                        known = event.id or ""
                        seen.append(int(event.result["name"]))
                        assert not is_first or seen[-1] >= committed, "older than what was written before"
                        is_first = False
                except EndOfStream:
                    continue
        return seen


@pytest.mark.parametrize("seed", range(3))
async def test_all_readers_get_the_states_in_order_and_the_last(
    live: Live, workspace: str, owner: psycopg.AsyncConnection, rename: Rename, seed: int
) -> None:
    """A new reader gets a state as new as the last commit; then no older one, none twice, and finally the last."""
    chance = Random(seed)
    await rename("0")
    counted = Counted(live, workspace, owner, rename)
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.TaskGroup() as group:
        group.create_task(counted.write(chance))
        readers = [group.create_task(counted.read(Random(chance.random()))) for _ in range(READERS)]
    for reader in readers:
        seen = reader.result()
        assert seen == sorted(set(seen))
    # Each stream may begin with a result at once.
    seconds = loop.time() - started
    assert max(len(reader.result()) for reader in readers) <= seconds * PER_SECOND + seconds / (0.9 * AGE) + 1


async def test_a_stream_ends_after_its_lifetime(live: Live, workspace: str, rename: Rename) -> None:
    """It ends with a complete response and a retry time; a client that reconnects gets no result that it has."""
    url = f"/api/workspaces/{workspace}"
    async with listening(live, url) as stream:
        known = (await stream.next()).id or ""
        with pytest.raises(EndOfStream):
            await stream.next()
        assert "retry: 2000" in stream.stream.silent_lines
    async with listening(live, url, Last_Event_ID=known) as stream:
        with pytest.raises(EndOfStream):
            await stream.next()
        assert stream.seen == []
    await rename("Missed")
    async with listening(live, url, Last_Event_ID=known) as stream:
        assert (await stream.next()).result["name"] == "Missed"
