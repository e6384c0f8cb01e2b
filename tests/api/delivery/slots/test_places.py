"""Turns that are used, kept and given up, as they are written."""

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


def places(pace: SendLimits, kept_at: datetime) -> SlotLedger:
    """Return the places of a workspace in which one mail has a turn, and nothing has left."""
    turn = Slot("a.example", kept_at, is_used=False)
    promised = SlotUsage(pace)
    promised.add(turn.at, turn.domain)
    return SlotLedger(pace, {MAIL: turn}, SlotUsage(pace), promised)


@pytest.mark.parametrize("late", [timedelta(), timedelta(milliseconds=30)])
def test_a_turn_that_is_used_is_gone(late: timedelta) -> None:
    """On the dot or a moment late: the kept turn is given back, since from now on the claim itself is counted."""
    found = places(CAP, NOON)
    found.use(MAIL, "a.example", NOON + late)
    assert found.changes == {MAIL: None}
    tomorrow = find_sending_time(NOON, found.get_rules(OTHER, "a.example")).at
    assert tomorrow.date() == date(2026, 3, 5)
    assert found.get_reserved_time(MAIL) is None


@pytest.mark.parametrize("late", [timedelta(), timedelta(milliseconds=30)])
def test_a_rate_remembers_when_a_mail_left(late: timedelta) -> None:
    """Under a rate the turn stays, as a used one, and the next mail leaves a stretch later."""
    found = places(RATE, NOON)
    found.use(MAIL, "a.example", NOON + late)
    assert found.changes == {MAIL: Slot("a.example", NOON + late, is_used=True)}
    assert find_sending_time(NOON, found.get_rules(OTHER, "a.example")).at == NOON + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("pace", "turn", "left", "free", "start", "next_at"),
    [
        (RATE, NOON, NOON + 1.5 * SECOND, NOON, NOON + 1.5 * SECOND, NOON + 2 * SECOND),
        (RATE, NOON, NOON - 1.5 * SECOND, NOON, NOON - 1.5 * SECOND, NOON - SECOND),
        (GAP, NOON, NOON + 30 * SECOND, NOON - 30 * SECOND, NOON + 31 * SECOND, NOON + 90 * SECOND),
        (CAP, MIDNIGHT - SECOND, MIDNIGHT, MIDNIGHT - SECOND, MIDNIGHT, MIDNIGHT + DAY),
    ],
    ids=["a rate, late", "a rate, early", "a gap", "a cap, after midnight"],
)
def test_a_mail_counts_when_it_leaves(
    pace: SendLimits, turn: datetime, left: datetime, free: datetime, start: datetime, next_at: datetime
) -> None:
    """A mail that leaves at another time than its turn holds the next one from then on, and its turn is free."""
    found = places(pace, turn)
    found.use(MAIL, "a.example", left)
    assert find_sending_time(free, found.get_rules(OTHER, "a.example")).at == free
    assert find_sending_time(start, found.get_rules(OTHER, "a.example")).at == next_at


def test_a_mail_counts_for_the_domain_it_goes_to() -> None:
    """A mail to another domain than its turn was kept for holds the next one to that domain, and none to the first."""
    found = places(GAP, NOON)
    found.use(MAIL, "b.example", NOON)
    next_at = {
        domain: find_sending_time(NOON, found.get_rules(OTHER, domain)).at for domain in ("a.example", "b.example")
    }
    assert next_at == {"a.example": NOON, "b.example": NOON + 60 * SECOND}
    assert found.changes == {MAIL: Slot("b.example", NOON, is_used=True)}


def test_a_turn_given_up_is_free_for_the_next() -> None:
    """A mail that will not leave leaves its day to another; one without a turn has nothing to give up."""
    found = places(CAP, NOON)
    found.release(MAIL)
    found.release(OTHER)
    assert found.changes == {MAIL: None}
    assert find_sending_time(NOON, found.get_rules(OTHER, "a.example")).at == NOON


def test_a_rescheduled_mail_waits_and_the_other_does_not() -> None:
    """A mail that is rescheduled reserves a later slot; the present one is free again."""
    found = places(CAP, NOON + timedelta(days=1))
    found.use(OTHER, "a.example", NOON)
    found.reschedule(OTHER, "a.example", NOON, NOON + timedelta(days=2))
    assert found.get_reserved_time(OTHER) == NOON + timedelta(days=2)
    assert find_sending_time(NOON, found.get_rules(UUID(int=3), "a.example")).at == NOON
