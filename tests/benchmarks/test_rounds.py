import asyncio
from collections.abc import Awaitable, Callable

import pytest

from benchmarks.rounds import Plan, measure_medians, measure_rates

pytestmark = pytest.mark.anyio


class Recorder:
    """Records operations in order."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def record(self, name: str) -> Callable[[], Awaitable[None]]:
        async def do() -> None:
            self.done.append(name)
            await asyncio.sleep(0)

        return do


async def test_operations_alternate() -> None:
    """Each round has a batch of each operation in rotating order; the first operation of a batch is not measured."""
    recorder = Recorder()

    measured = await measure_medians(
        {"a": recorder.record("a"), "b": recorder.record("b")}, Plan(rounds=2, each=2, seconds=60.0)
    )

    warm_up, first, second = "aaabbb", "aaabbb", "bbbaaa"
    assert "".join(recorder.done) == warm_up + first + second
    assert set(measured) == {"a", "b"}
    assert all(milliseconds > 0 for milliseconds in measured.values())


async def test_the_time_limit_ends_the_rounds() -> None:
    """Slow operations are measured in fewer rounds, and in at least one."""
    recorder = Recorder()

    await measure_medians({"a": recorder.record("a")}, Plan(rounds=1_000_000, each=1, seconds=0.0))

    assert len(recorder.done) == 4


async def test_a_group_runs_concurrently() -> None:
    """Each member of each group runs, and the rate is that of the group."""
    recorder = Recorder()
    groups = {"one": [recorder.record("a")], "two": [recorder.record("b"), recorder.record("c")]}

    measured = await measure_rates(groups, repetitions=2, seconds=0.001)

    assert set(recorder.done) == {"a", "b", "c"}
    assert all(rate > 0 for rate in measured.values())
