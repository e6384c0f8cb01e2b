"""Measuring things in turn with each other, so that a passing load does not fall on one of them alone."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

TURN_SECONDS = 120.0
"""What one turn may take at most before the bench gives up."""

Act: TypeAlias = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How often to measure: `rounds` rounds of `each` acts, or fewer when `seconds` are over."""

    rounds: int
    each: int
    seconds: float


async def medians(acts: Mapping[str, Act], plan: Plan) -> dict[str, float]:
    """Return the median duration of each act in milliseconds; see `durations`."""
    return {name: median(found) for name, found in (await durations(acts, plan)).items()}


async def durations(acts: Mapping[str, Act], plan: Plan) -> dict[str, list[float]]:
    """Return how long each act took, each time, in milliseconds.

    The acts take turns, and who begins changes from round to round. Before each turn, and in a whole round before the
    first, an act runs unmeasured: what has slept, or is done for the first time, is not what is asked for.
    """
    names = list(acts)
    taken: dict[str, list[int]] = {name: [] for name in names}
    for act in acts.values():
        await _turn(act, plan.each)
    deadline = time.monotonic() + plan.seconds
    for number in range(plan.rounds):
        if number and time.monotonic() > deadline:
            break
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            taken[name] += await _turn(acts[name], plan.each)
    return {name: [nanoseconds / 1e6 for nanoseconds in found] for name, found in taken.items()}


async def _turn(act: Act, times: int) -> list[int]:
    """Return how long an act takes, each of so many times in a row, in nanoseconds."""
    taken = []
    async with asyncio.timeout(TURN_SECONDS):
        await act()
        for _ in range(times):
            started = time.perf_counter_ns()
            await act()
            taken.append(time.perf_counter_ns() - started)
    return taken


async def rates(crowds: Mapping[str, Sequence[Act]], *, turns: int, seconds: float) -> dict[str, float]:
    """Return how often a second each crowd acts, all of its members at once; the median of turns of some seconds."""
    counted: dict[str, list[float]] = {name: [] for name in crowds}
    for _ in range(turns):
        for name, crowd in crowds.items():
            counted[name].append(await _rate(crowd, seconds))
    return {name: median(found) for name, found in counted.items()}


async def _rate(crowd: Sequence[Act], seconds: float) -> float:
    started = time.monotonic()
    deadline = started + seconds

    async def go_on(act: Act) -> int:
        times = 0
        while time.monotonic() < deadline:
            await act()
            times += 1
        return times

    async with asyncio.timeout(TURN_SECONDS):
        done = sum(await asyncio.gather(*(go_on(act) for act in crowd)))
    return done / (time.monotonic() - started)
