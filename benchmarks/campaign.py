"""A campaign on a virtual clock: when each mail leaves, worked out by the rules alone, as the engine would do it."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from uuid import UUID

from api.delivery.slots.service import Places, pace_of
from api.outreach.enrollments.service import hours_of, sending_hours
from database.models import Workspace
from domain.pace import Turns
from domain.schedule import StepDelay, sending_time


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who is written to: the domain of the address, and the zone where that is known."""

    domain: str
    zone: str | None


@dataclass(frozen=True, slots=True, order=True)
class Departure:
    """One mail that leaves: when (UTC), which step (from 0), and to whom, by the place in the list of recipients."""

    at: datetime
    step: int
    recipient: int


def simulate(
    workspace: Workspace, delays: Sequence[StepDelay], recipients: Sequence[Recipient], start: datetime
) -> list[Departure]:
    """Return all departures of a campaign whose recipients are enrolled at `start`, in the order in which they leave.

    Nobody answers, nothing bounces and nothing fails, each draft is approved the moment it is written, and whoever was
    put on the queue first is asked first.
    """
    pace = pace_of(workspace)
    places, numbers = Places(pace, {}, Turns(pace), Turns(pace)), count()
    queue: list[tuple[datetime, int, int, int]] = []
    left: list[Departure] = []

    def set_on(recipient: int, step: int, now: datetime, previous: datetime | None) -> None:
        zone = recipients[recipient].zone
        due = sending_hours(workspace, zone, now=now, previous=previous, delay=delays[step]).at
        heapq.heappush(queue, (due, next(numbers), recipient, step))

    for recipient in range(len(recipients)):
        set_on(recipient, 0, start, None)
    while queue:
        now, number, recipient, step = heapq.heappop(queue)
        mail, to = UUID(int=number), recipients[recipient]
        rules = [hours_of(workspace, to.zone), *places.rules_for(mail, to.domain)]
        at = sending_time(max(places.turn_of(mail) or now, now), rules).at
        if at > now:
            places.keep(mail, to.domain, at)
            heapq.heappush(queue, (at, number, recipient, step))
            continue
        places.use(mail, to.domain, now)
        left.append(Departure(now, step, recipient))
        if step + 1 < len(delays):
            set_on(recipient, step + 1, now, now)
    return left
