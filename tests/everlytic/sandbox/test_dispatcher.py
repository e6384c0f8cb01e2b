"""Tests when the sandbox retries a delivery, and for how long, on a virtual clock that the test moves."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from everlytic.sandbox.clock import Clock
from everlytic.sandbox.dispatcher import Delivery, Dispatcher, OutgoingRequest
from everlytic.sandbox.scheduler import Scheduler

pytestmark = pytest.mark.anyio

MINUTE, DAY = 60, 86_400


class FailingDelivery:
    """A dispatcher on a clock that the test moves, and one delivery whose attempts all fail."""

    def __init__(self) -> None:
        self.clock = Clock(time.time(), 0.0, 1e-30)
        self.scheduler = Scheduler(self.clock)
        self.dispatcher = Dispatcher(self.clock, self.scheduler)
        self.attempts: list[int] = []
        self.delivery = Delivery("ann", self._fail, lambda _now: None, 1.0)

    def _fail(self) -> OutgoingRequest | None:
        self.attempts.append(self.now())
        raise ConnectionError

    def now(self) -> int:
        """Return the virtual time in seconds."""
        return round(self.clock.now())

    async def move_to(self, second: int) -> None:
        """Move the clock and wait for all attempts that are due."""
        self.clock.advance(second - self.now())
        self.scheduler.run_due()
        while self.dispatcher.busy:  # noqa: ASYNC110 - the workers set no event
            await asyncio.sleep(0)


@pytest.fixture
async def failing() -> AsyncIterator[FailingDelivery]:
    """Start the dispatcher and enqueue the delivery at second 0."""
    failing = FailingDelivery()
    failing.dispatcher.start()
    failing.dispatcher.enqueue(failing.delivery)
    await failing.move_to(0)
    yield failing
    failing.scheduler.stop()
    await failing.dispatcher.stop()


async def test_a_delivery_is_attempted_every_five_minutes_for_three_days(failing: FailingDelivery) -> None:
    """Attempts are at 0, 5, 10 … minutes, the last one after three days; then the delivery has failed."""
    for second in range(0, 3 * DAY, 5 * MINUTE):
        await failing.move_to(second + 5 * MINUTE - 1)
        await failing.move_to(second + 5 * MINUTE)
    await failing.move_to(9 * DAY)
    assert failing.attempts == list(range(0, 3 * DAY + 1, 5 * MINUTE))
    assert (len(failing.dispatcher.pending), len(failing.dispatcher.failed)) == (0, 1)
    assert failing.dispatcher.counts["failed_tries"] == len(failing.attempts)


@pytest.mark.parametrize(("after", "queued"), [(7 * DAY - 1, 1), (7 * DAY, 1), (7 * DAY + 1, 0)])
async def test_a_reprocess_queues_what_failed_within_seven_days(
    failing: FailingDelivery, after: int, queued: int
) -> None:
    """A delivery that failed at most seven days ago is queued again by its own username only."""
    await failing.move_to(3 * DAY)
    await failing.move_to(3 * DAY + 5 * MINUTE)
    failed_at = failing.attempts[-1]
    assert failing.delivery.failed_at == failed_at
    await failing.move_to(failed_at + after)
    attempts = len(failing.attempts)
    assert failing.dispatcher.reprocess("ben") == 0
    assert failing.dispatcher.reprocess("ann") == queued
    await failing.move_to(failed_at + after)
    assert len(failing.attempts) == attempts + queued
