"""Measures operations alternately, so that a temporary load affects all of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

BATCH_TIMEOUT_SECONDS = 120.0
"""The time limit of one batch."""

Operation: TypeAlias = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How often to measure: `rounds` rounds of `each` operations, or fewer rounds when `seconds` have passed."""

    rounds: int
    each: int
    seconds: float


async def measure_medians(operations: Mapping[str, Operation], plan: Plan) -> dict[str, float]:
    """Return the median duration of each operation in milliseconds; see `measure_durations`."""
    return {name: median(durations) for name, durations in (await measure_durations(operations, plan)).items()}


async def measure_durations(operations: Mapping[str, Operation], plan: Plan) -> dict[str, list[float]]:
    """Return all durations of each operation in milliseconds.

    The operations alternate, and their order rotates with each round. A whole warm-up round runs before the first
    round, and each batch begins with one operation that is not measured, because the first one after a pause is slower.
    """
    names = list(operations)
    nanoseconds_by_name: dict[str, list[int]] = {name: [] for name in names}
    for operation in operations.values():
        await _measure_batch(operation, plan.each)
    deadline = time.monotonic() + plan.seconds
    for number in range(plan.rounds):
        if number and time.monotonic() > deadline:
            break
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            nanoseconds_by_name[name] += await _measure_batch(operations[name], plan.each)
    return {name: [nanoseconds / 1e6 for nanoseconds in measured] for name, measured in nanoseconds_by_name.items()}


async def _measure_batch(operation: Operation, count: int) -> list[int]:
    """Return the durations of consecutive calls of an operation, in nanoseconds."""
    durations = []
    async with asyncio.timeout(BATCH_TIMEOUT_SECONDS):
        await operation()
        for _ in range(count):
            started = time.perf_counter_ns()
            await operation()
            durations.append(time.perf_counter_ns() - started)
    return durations


async def measure_rates(
    groups: Mapping[str, Sequence[Operation]], *, repetitions: int, seconds: float
) -> dict[str, float]:
    """Return the operations per second of each group, whose members run concurrently: the median of the repetitions."""
    rates: dict[str, list[float]] = {name: [] for name in groups}
    for _ in range(repetitions):
        for name, group in groups.items():
            rates[name].append(await _measure_rate(group, seconds))
    return {name: median(measured) for name, measured in rates.items()}


async def _measure_rate(group: Sequence[Operation], seconds: float) -> float:
    started = time.monotonic()
    deadline = started + seconds

    async def repeat(operation: Operation) -> int:
        count = 0
        while time.monotonic() < deadline:
            await operation()
            count += 1
        return count

    async with asyncio.timeout(BATCH_TIMEOUT_SECONDS):
        done = sum(await asyncio.gather(*(repeat(operation) for operation in group)))
    return done / (time.monotonic() - started)
