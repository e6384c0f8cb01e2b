from datetime import datetime, time, timedelta

from domain.clock import Clock
from everlytic.sandbox.clock import Clock as SandboxClock
from salesmatter.demo.business_time import ZONE, BusinessTime


def test_service_and_sandbox_read_the_same_time() -> None:
    """The business clock and the sandbox's clock parse the text and show the same time."""
    clock = BusinessTime.starting_before_monday(time(7), in_seconds=10, day_seconds=6)

    times = [clock.now(), Clock.parse(str(clock)).now()]
    times.append(datetime.fromtimestamp(SandboxClock.parse(str(clock)).now(), ZONE))

    assert max(times) - min(times) < timedelta(hours=1)


def test_the_clock_starts_before_a_monday_in_the_past() -> None:
    """The clock starts before the Monday, more than three weeks before the real time."""
    clock = BusinessTime.starting_before_monday(time(7), in_seconds=10, day_seconds=6)

    assert clock.virtual_start.weekday() == 0
    assert clock.virtual_start.time() == time(7)
    assert clock.now() < clock.virtual_start < datetime.now(ZONE) - timedelta(weeks=3)
    assert clock.to_business_seconds(6) == 24 * 3600
