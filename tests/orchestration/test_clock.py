"""The business clock as the orchestration reads it."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.clock import parse_clock
from orchestration.errors import InvalidClock


def test_real_time_is_the_default() -> None:
    """Without a text, business time is real time."""
    assert abs(parse_clock(None).now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_business_time_runs_as_told() -> None:
    """An hour to the second, counted from the given instant, shown in UTC."""
    clock = parse_clock(f"{time.time() - 10},2026-03-02T23:00:00+02:00,3600")
    assert timedelta(0) <= clock.now() - datetime(2026, 3, 3, 7, tzinfo=UTC) < timedelta(hours=5)


@pytest.mark.parametrize("text", ["now", "0,2026-03-02T08:00:00,1", "0,2026-03-02T08:00:00+00:00,0", "1,2"])
def test_another_text_is_refused(text: str) -> None:
    """A clock without an offset, without speed or without sense is named as such."""
    with pytest.raises(InvalidClock, match="SALESMATTER_CLOCK"):
        parse_clock(text)
