"""Places for calls to providers, of which no workspace and no host holds all."""

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import pytest

from api.http.places import NoPlaceFree, Places, create_places

pytestmark = pytest.mark.anyio

SLOW, OTHER, THIRD = uuid4(), uuid4(), uuid4()


def eight(wait_seconds: float = 0.05) -> Places:
    """Return eight places: four for a workspace, six for a host."""
    return create_places(8, workspace_share=0.5, host_share=0.75, wait_seconds=wait_seconds)


async def take(held: AsyncExitStack, places: Places, workspace_id: UUID, host: str | None = None) -> bool:
    """Hold a place until the end of the stack; returns whether one was free."""
    try:
        await held.enter_async_context(places.hold(workspace_id, host))
    except NoPlaceFree:
        return False
    return True


async def test_a_workspace_holds_its_share_and_no_more() -> None:
    """The fifth call of a workspace with four places finds none, and another workspace has its own four."""
    places = eight()
    async with AsyncExitStack() as held:
        assert [await take(held, places, SLOW) for _ in range(5)] == [True] * 4 + [False]
        assert [await take(held, places, OTHER) for _ in range(5)] == [True] * 4 + [False]
        assert not await take(held, places, THIRD)
    async with AsyncExitStack() as held:
        assert [await take(held, places, SLOW) for _ in range(5)] == [True] * 4 + [False]


async def test_the_workspaces_of_a_host_share_its_places() -> None:
    """Several workspaces of one host hold six of eight places together; the others stay for other hosts."""
    places = eight()
    async with AsyncExitStack() as held:
        taken = [await take(held, places, workspace, "slow.example") for workspace in [SLOW, OTHER] * 4]
        assert taken.count(True) == 6
        assert [await take(held, places, THIRD, "quick.example") for _ in range(3)] == [True, True, False]


async def test_a_noted_host_counts() -> None:
    """The host of a workspace's last call counts for its next calls, which do not name it."""
    places = eight()
    for workspace in (SLOW, OTHER):
        places.note_host(workspace, "slow.example")
    async with AsyncExitStack() as held:
        assert [await take(held, places, workspace) for workspace in [SLOW, OTHER] * 4].count(True) == 6


async def test_who_waits_gets_the_next_place() -> None:
    """A call that waits for its share gets it as soon as one of its workspace ends, and holds nothing meanwhile."""
    places = eight(wait_seconds=20.0)
    async with AsyncExitStack() as held:
        for _ in range(4):
            assert await take(held, places, SLOW)
        waiting = asyncio.create_task(take(held, places, SLOW))
        async with AsyncExitStack() as others:
            assert [await take(others, places, OTHER) for _ in range(4)] == [True] * 4
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
    async with AsyncExitStack() as held:
        assert await take(held, places, SLOW)


async def test_small_numbers_have_at_least_one_place_each() -> None:
    """With a single place each workspace and each host may hold it."""
    places = create_places(1, workspace_share=0.1, host_share=0.1, wait_seconds=0.05)
    async with AsyncExitStack() as held:
        assert await take(held, places, SLOW, "a.example")
        assert not await take(held, places, OTHER, "b.example")
