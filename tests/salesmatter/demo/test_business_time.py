from datetime import datetime, time, timedelta

from api.http.clock import Clock as ApiClock
from everlytic.sandbox.clock import Clock as SandboxClock
from orchestration.clock import parse_clock
from salesmatter.demo.business_time import ZONE, BusinessTime


def test_every_room_reads_the_same_time() -> None:
    """API, sandbox and orchestration each parse the text, and agree on the moment."""
    clock = BusinessTime.reaching_monday(time(7), in_seconds=10, day_seconds=6)

    moments = [clock.now(), ApiClock.parse(str(clock)).now(), parse_clock(str(clock)).now()]
    moments.append(datetime.fromtimestamp(SandboxClock.parse(str(clock)).now(), ZONE))

    assert max(moments) - min(moments) < timedelta(hours=1)


def test_it_starts_before_a_monday_in_the_past() -> None:
    """Preparations fall before the Monday, and weeks of business time pass without reaching the real present."""
    clock = BusinessTime.reaching_monday(time(7), in_seconds=10, day_seconds=6)

    assert clock.moment.weekday() == 0
    assert clock.moment.time() == time(7)
    assert clock.now() < clock.moment < datetime.now(ZONE) - timedelta(weeks=3)
    assert clock.lasting(6) == 24 * 3600
