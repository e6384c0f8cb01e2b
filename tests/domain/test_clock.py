import time
from datetime import UTC, datetime, timedelta

import pytest

from domain.clock import Clock, InvalidClock


def test_without_a_setting_time_is_real() -> None:
    """The default clock shows the real time."""
    assert abs(Clock.parse(None).now() - datetime.now(UTC)) < timedelta(seconds=1)


def test_an_accelerated_clock_survives_its_own_text() -> None:
    """What a clock prints is read back as the same clock, so that processes can share it."""
    start = datetime(2026, 1, 5, 8, tzinfo=UTC)
    clock = Clock(time.time(), start, 3600)

    again = Clock.parse(str(clock))

    assert (clock.real_start, clock.virtual_start, clock.speed) == (
        again.real_start,
        again.virtual_start,
        again.speed,
    )
    assert again.now() >= start


def test_real_seconds_and_business_time_agree() -> None:
    """At 3,600-fold speed an hour of business time is a real second away."""
    clock = Clock(time.time(), datetime(2026, 1, 5, 8, tzinfo=UTC), 3600)

    assert pytest.approx(clock.real_seconds_until(clock.now() + timedelta(hours=1)), abs=0.05) == 1.0
    assert pytest.approx(clock.real_seconds_until(clock.after(2)), abs=0.05) == 2.0


@pytest.mark.parametrize(
    "text", ["fast", "1,2026-01-05T08:00:00Z", "1,2026-01-05T08:00:00,60", "1,2026-01-05T08:00:00Z,0"]
)
def test_a_setting_that_makes_no_sense_is_named(text: str) -> None:
    """Missing parts, a missing offset and a speed of zero raise an error that says what to write."""
    with pytest.raises(InvalidClock, match="SALESMATTER_CLOCK"):
        Clock.parse(text)
