"""Simulates a campaign: computes when each email is sent, by the same rules as the engine."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from uuid import UUID

from api.delivery.slots.schedule import find_step_time, get_sending_hours
from api.delivery.slots.service import SlotLedger, get_send_limits
from database.models import Workspace
from domain.schedule import StepDelay, find_sending_time
from domain.send_limits import SlotUsage


@dataclass(frozen=True, slots=True)
class Recipient:
    """The domain of a recipient's address, and the time zone if known."""

    domain: str
    zone: str | None


@dataclass(frozen=True, slots=True, order=True)
class ScheduledSend:
    """A simulated send: its time (UTC), its step (from 0), and the index of its recipient."""

    at: datetime
    step: int
    recipient: int


def simulate(
    workspace: Workspace, delays: Sequence[StepDelay], recipients: Sequence[Recipient], start: datetime
) -> list[ScheduledSend]:
    """Return all sends, in order, of a campaign whose recipients are enrolled at `start`.

    There are no replies, bounces or failures, each draft is approved at once, and jobs run in the order in which they
    were enqueued.
    """
    pace = get_send_limits(workspace)
    slots, numbers = SlotLedger(pace, {}, SlotUsage(pace), SlotUsage(pace)), count()
    queue: list[tuple[datetime, int, int, int]] = []
    sends: list[ScheduledSend] = []

    def schedule_step(recipient: int, step: int, now: datetime, previous: datetime | None) -> None:
        zone = recipients[recipient].zone
        due = find_step_time(workspace, zone, now=now, previous=previous, delay=delays[step]).at
        heapq.heappush(queue, (due, next(numbers), recipient, step))

    for recipient in range(len(recipients)):
        schedule_step(recipient, 0, start, None)
    while queue:
        now, number, recipient, step = heapq.heappop(queue)
        draft_id, address = UUID(int=number), recipients[recipient]
        rules = [get_sending_hours(workspace, address.zone), *slots.get_rules(draft_id, address.domain)]
        at = find_sending_time(max(slots.get_reserved_time(draft_id) or now, now), rules).at
        if at > now:
            slots.reserve(draft_id, address.domain, at)
            heapq.heappush(queue, (at, number, recipient, step))
            continue
        slots.use(draft_id, address.domain, now)
        sends.append(ScheduledSend(now, step, recipient))
        if step + 1 < len(delays):
            schedule_step(recipient, step + 1, now, now)
    return sends
