"""When the sandbox tries a delivery again, and for how long, in virtual seconds that the test moves."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from everlytic.sandbox.agenda import Agenda
from everlytic.sandbox.clock import Clock
from everlytic.sandbox.delivery import Parcel, Postman, Rendered

pytestmark = pytest.mark.anyio

MINUTE, DAY = 60, 86_400


class Office:
    """A postman on a clock that stands still until it is moved, and one parcel that cannot be delivered."""

    def __init__(self) -> None:
        self.clock = Clock(time.time(), 0.0, 1e-30)
        self.agenda = Agenda(self.clock)
        self.postman = Postman(self.clock, self.agenda)
        self.tries: list[int] = []
        self.parcel = Parcel("ann", self._refuse, lambda _now: None, 1.0)

    def _refuse(self) -> Rendered | None:
        self.tries.append(self.now())
        raise ConnectionError

    def now(self) -> int:
        """The virtual second it is."""
        return round(self.clock.now())

    async def move_to(self, second: int) -> None:
        """Move the clock, and let all happen that is due then."""
        self.clock.advance(second - self.now())
        self.agenda.run_due()
        while self.postman.busy:  # noqa: ASYNC110 - the workers set no event
            await asyncio.sleep(0)


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    """Open an office with its parcel posted at second 0."""
    office = Office()
    office.postman.start()
    office.postman.post(office.parcel)
    await office.move_to(0)
    yield office
    office.agenda.stop()
    await office.postman.stop()


async def test_a_delivery_is_tried_every_five_minutes_for_three_days(office: Office) -> None:
    """Tries come at 0, 5, 10 … minutes, none a second early, the last after three days; then it is parked."""
    for second in range(0, 3 * DAY, 5 * MINUTE):
        await office.move_to(second + 5 * MINUTE - 1)
        await office.move_to(second + 5 * MINUTE)
    await office.move_to(9 * DAY)
    assert office.tries == list(range(0, 3 * DAY + 1, 5 * MINUTE))
    assert (len(office.postman.pending), len(office.postman.parked)) == (0, 1)
    assert office.postman.counts["failed_tries"] == len(office.tries)


@pytest.mark.parametrize(("after", "brought"), [(7 * DAY - 1, 1), (7 * DAY, 1), (7 * DAY + 1, 0)])
async def test_a_reprocess_brings_what_was_parked_within_seven_days(office: Office, after: int, brought: int) -> None:
    """A parcel parked seven days ago to the second is tried again, of its own user alone; a second later it stays."""
    await office.move_to(3 * DAY)
    await office.move_to(3 * DAY + 5 * MINUTE)
    parked_at = office.tries[-1]
    assert office.parcel.parked_at == parked_at
    await office.move_to(parked_at + after)
    tries = len(office.tries)
    assert office.postman.reprocess("ben") == 0
    assert office.postman.reprocess("ann") == brought
    await office.move_to(parked_at + after)
    assert len(office.tries) == tries + brought
