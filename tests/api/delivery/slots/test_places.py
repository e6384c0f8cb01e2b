"""Turns that are used, kept and given up, as they are written."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from api.delivery.slots.repository import Turn
from api.delivery.slots.service import Places
from domain.pace import DailyCap, Pace, Rate, Turns
from domain.schedule import sending_time

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
MAIL, OTHER = UUID(int=1), UUID(int=2)
CAP = Pace(ZoneInfo("UTC"), cap=DailyCap(1, None, lambda _day: True))
RATE = Pace(ZoneInfo("UTC"), rate=Rate(60))


def places(pace: Pace, kept_at: datetime) -> Places:
    """Return the places of a workspace in which one mail has a turn, and nothing has left."""
    turn = Turn("a.example", kept_at, made=False)
    promised = Turns(pace)
    promised.take(turn.at, turn.domain)
    return Places(pace, {MAIL: turn}, Turns(pace), promised)


@pytest.mark.parametrize("late", [timedelta(), timedelta(milliseconds=30)])
def test_a_turn_that_is_used_is_gone(late: timedelta) -> None:
    """On the dot or a moment late: the kept turn is given back, since from now on the claim itself is counted."""
    found = places(CAP, NOON)
    found.use(MAIL, "a.example", NOON + late)
    assert found.changes == {MAIL: None}
    tomorrow = sending_time(NOON, found.rules_for(OTHER, "a.example")).at
    assert tomorrow.date() == date(2026, 3, 5)
    assert found.turn_of(MAIL) is None


@pytest.mark.parametrize("late", [timedelta(), timedelta(milliseconds=30)])
def test_a_rate_remembers_when_a_mail_left(late: timedelta) -> None:
    """Under a rate the turn stays, as one that was made use of, and the next mail leaves a stretch later."""
    found = places(RATE, NOON)
    found.use(MAIL, "a.example", NOON + late)
    assert found.changes == {MAIL: Turn("a.example", NOON + late, made=True)}
    assert sending_time(NOON, found.rules_for(OTHER, "a.example")).at == NOON + timedelta(seconds=1)


def test_a_turn_given_up_is_free_for_the_next() -> None:
    """A mail that will not leave leaves its day to another; one without a turn has nothing to give up."""
    found = places(CAP, NOON)
    found.give_up(MAIL)
    found.give_up(OTHER)
    assert found.changes == {MAIL: None}
    assert sending_time(NOON, found.rules_for(OTHER, "a.example")).at == NOON


def test_a_mail_put_back_waits_and_the_other_does_not() -> None:
    """What was to leave and does not keeps a later turn; the present one is free again."""
    found = places(CAP, NOON + timedelta(days=1))
    found.use(OTHER, "a.example", NOON)
    found.put_back(OTHER, "a.example", NOON, NOON + timedelta(days=2))
    assert found.turn_of(OTHER) == NOON + timedelta(days=2)
    assert sending_time(NOON, found.rules_for(UUID(int=3), "a.example")).at == NOON
