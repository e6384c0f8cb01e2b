"""Slots that are used, reserved and released, as they are written."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from api.delivery.slots.repository import Slot
from api.delivery.slots.service import SlotLedger
from domain.schedule import find_sending_time
from domain.send_limits import DailyCap, RateLimit, SendLimits, SlotUsage

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 5, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
MAIL, OTHER = UUID(int=1), UUID(int=2)
CAP = SendLimits(ZoneInfo("UTC"), cap=DailyCap(1, None, lambda _day: True))
RATE = SendLimits(ZoneInfo("UTC"), rate=RateLimit(60))
GAP = SendLimits(ZoneInfo("UTC"), gap=60 * SECOND)


def build_ledger(pace: SendLimits, reserved_at: datetime) -> SlotLedger:
    """Return the ledger of a workspace in which one mail has a slot, and nothing has left."""
    slot = Slot("a.example", reserved_at, is_used=False)
    reserved = SlotUsage(pace)
    reserved.add(slot.at, slot.domain)
    return SlotLedger(pace, {MAIL: slot}, SlotUsage(pace), reserved)


@pytest.mark.parametrize("late", [timedelta(), timedelta(milliseconds=30)])
def test_a_slot_that_is_used_is_gone(late: timedelta) -> None:
    """On time or a moment late: the reserved slot is released, because from now on the claim itself is counted."""
    ledger = build_ledger(CAP, NOON)
    ledger.use(MAIL, "a.example", NOON + late)
    assert ledger.changes == {MAIL: None}
    tomorrow = find_sending_time(NOON, ledger.get_rules(OTHER, "a.example")).at
    assert tomorrow.date() == date(2026, 3, 5)
    assert ledger.get_reserved_time(MAIL) is None


@pytest.mark.parametrize("late", [timedelta(), timedelta(milliseconds=30)])
def test_a_rate_remembers_when_a_mail_left(late: timedelta) -> None:
    """Under a rate the slot stays, as a used one, and the next mail leaves a rate window later."""
    ledger = build_ledger(RATE, NOON)
    ledger.use(MAIL, "a.example", NOON + late)
    assert ledger.changes == {MAIL: Slot("a.example", NOON + late, is_used=True)}
    assert find_sending_time(NOON, ledger.get_rules(OTHER, "a.example")).at == NOON + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("pace", "slot", "left", "free", "start", "next_at"),
    [
        (RATE, NOON, NOON + 1.5 * SECOND, NOON, NOON + 1.5 * SECOND, NOON + 2 * SECOND),
        (RATE, NOON, NOON - 1.5 * SECOND, NOON, NOON - 1.5 * SECOND, NOON - SECOND),
        (GAP, NOON, NOON + 30 * SECOND, NOON - 30 * SECOND, NOON + 31 * SECOND, NOON + 90 * SECOND),
        (CAP, MIDNIGHT - SECOND, MIDNIGHT, MIDNIGHT - SECOND, MIDNIGHT, MIDNIGHT + DAY),
    ],
    ids=["a rate, late", "a rate, early", "a gap", "a cap, after midnight"],
)
def test_a_mail_counts_when_it_leaves(
    pace: SendLimits, slot: datetime, left: datetime, free: datetime, start: datetime, next_at: datetime
) -> None:
    """A mail that leaves at another time than its slot delays the next one from then on, and its slot is free."""
    ledger = build_ledger(pace, slot)
    ledger.use(MAIL, "a.example", left)
    assert find_sending_time(free, ledger.get_rules(OTHER, "a.example")).at == free
    assert find_sending_time(start, ledger.get_rules(OTHER, "a.example")).at == next_at


def test_a_mail_counts_for_the_domain_it_goes_to() -> None:
    """A mail to another domain than that of its slot delays the next one to that domain, and none to the first."""
    ledger = build_ledger(GAP, NOON)
    ledger.use(MAIL, "b.example", NOON)
    next_at = {
        domain: find_sending_time(NOON, ledger.get_rules(OTHER, domain)).at for domain in ("a.example", "b.example")
    }
    assert next_at == {"a.example": NOON, "b.example": NOON + 60 * SECOND}
    assert ledger.changes == {MAIL: Slot("b.example", NOON, is_used=True)}


def test_a_released_slot_is_free_for_the_next() -> None:
    """The slot of a mail that will not be sent is free for another; a mail without a slot has nothing to release."""
    ledger = build_ledger(CAP, NOON)
    ledger.release(MAIL)
    ledger.release(OTHER)
    assert ledger.changes == {MAIL: None}
    assert find_sending_time(NOON, ledger.get_rules(OTHER, "a.example")).at == NOON


def test_a_rescheduled_mail_waits_and_the_other_does_not() -> None:
    """A mail that is rescheduled reserves a later slot; the present one is free again."""
    ledger = build_ledger(CAP, NOON + timedelta(days=1))
    ledger.use(OTHER, "a.example", NOON)
    ledger.reschedule(OTHER, "a.example", NOON, NOON + timedelta(days=2))
    assert ledger.get_reserved_time(OTHER) == NOON + timedelta(days=2)
    assert find_sending_time(NOON, ledger.get_rules(UUID(int=3), "a.example")).at == NOON
