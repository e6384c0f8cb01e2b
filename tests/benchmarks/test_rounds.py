import asyncio
from collections.abc import Awaitable, Callable

import pytest

from benchmarks.rounds import Plan, medians, rates

pytestmark = pytest.mark.anyio


class Diary:
    """What was done, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def act(self, name: str) -> Callable[[], Awaitable[None]]:
        async def do() -> None:
            self.done.append(name)
            await asyncio.sleep(0)

        return do


async def test_acts_take_turns() -> None:
    """Each round has a turn of each act, another begins in the next, and one act before each turn is not measured."""
    diary = Diary()

    found = await medians({"a": diary.act("a"), "b": diary.act("b")}, Plan(rounds=2, each=2, seconds=60.0))

    warming, first, second = "aaabbb", "aaabbb", "bbbaaa"
    assert "".join(diary.done) == warming + first + second
    assert set(found) == {"a", "b"}
    assert all(milliseconds > 0 for milliseconds in found.values())


async def test_time_ends_the_rounds() -> None:
    """What takes longer than is given to it is measured in fewer rounds, and in one at least."""
    diary = Diary()

    await medians({"a": diary.act("a")}, Plan(rounds=1_000_000, each=1, seconds=0.0))

    assert len(diary.done) == 4


async def test_a_crowd_acts_together() -> None:
    """Each member of each crowd acts, and the rate is of all of them."""
    diary = Diary()
    crowds = {"one": [diary.act("a")], "two": [diary.act("b"), diary.act("c")]}

    found = await rates(crowds, turns=2, seconds=0.001)

    assert set(diary.done) == {"a", "b", "c"}
    assert all(rate > 0 for rate in found.values())
