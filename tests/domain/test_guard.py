from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.guard import Health, Limits, Share, find_pause_reason

LIMITS = Limits(200, 0.05, 1000, 0.001, 3)
DAY = date(2026, 12, 1)


def health(bounced: int = 0, complained: int = 0, in_a_day: int = 0) -> Health:
    """Return the health of a sequence that has sent 5,000 mails."""
    return Health(Share(200, bounced), Share(1000, complained), DAY if in_a_day else None, in_a_day)


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        (health(bounced=9), None),
        (health(bounced=10), None),
        (health(bounced=11), "bounce guard: 11 of the last 200 mails bounced (more than 5 %)"),
        (health(complained=0), None),
        (health(complained=1), None),
        (health(complained=2), "complaint guard: 2 of the last 1000 mails were complained about (more than 0.1 %)"),
        (health(in_a_day=2), None),
        (health(in_a_day=3), "complaint guard: 3 mails were complained about on 2026-12-01 (limit 3 a day)"),
        (health(in_a_day=4), "complaint guard: 4 mails were complained about on 2026-12-01 (limit 3 a day)"),
    ],
)
def test_the_reason_names_guard_count_and_limit(counts: Health, reason: str | None) -> None:
    """A rate pauses above its share, the daily limit from its number on; the reason gives the numbers."""
    assert find_pause_reason(counts, LIMITS) == (None if reason is None else f"paused by the {reason}")


def test_one_complaint_can_be_the_limit_of_a_day() -> None:
    """With a limit of one complaint a day the first one pauses the sequence."""
    limits = replace(LIMITS, max_complaint_rate=None, max_daily_complaints=1)
    assert find_pause_reason(health(complained=1, in_a_day=1), limits) == (
        "paused by the complaint guard: 1 mail was complained about on 2026-12-01 (limit 1 a day)"
    )


def test_the_rate_applies_to_the_whole_sample() -> None:
    """Three bounces in three mails do not pause; 11 in the first 20 do, before 200 mails have been sent."""
    few = Health(Share(3, 3), Share(3, 0))
    assert find_pause_reason(few, LIMITS) is None
    assert find_pause_reason(replace(few, bounced=Share(20, 11)), LIMITS) == (
        "paused by the bounce guard: 11 of the last 20 mails bounced (more than 5 % of 200)"
    )
    assert find_pause_reason(replace(few, complained=Share(20, 2)), LIMITS) == (
        "paused by the complaint guard: 2 of the last 20 mails were complained about (more than 0.1 % of 1000)"
    )


@pytest.mark.parametrize(("rate", "sample", "most"), [(0.29, 100, 29), (0.07, 100, 7), (0.0, 10, 0), (1.0, 10, 10)])
def test_a_rate_is_an_exact_decimal(rate: float, sample: int, most: int) -> None:
    """A rate allows exactly its share of its own sample, without a binary rounding error."""
    bounces = Limits(sample, rate, 1, None, None)
    complaints = Limits(1, None, sample, rate, None)
    for number, pauses in ((most, False), (most + 1, True)):
        share, none = Share(sample + 1, number), Share(sample + 1, 0)
        assert (find_pause_reason(Health(share, none), bounces) is not None) == pauses
        assert (find_pause_reason(Health(none, share), complaints) is not None) == pauses


@given(st.integers(1, 1000), st.data())
def test_a_guard_without_a_limit_is_off(sent: int, data: st.DataObject) -> None:
    """Without limits nothing pauses; with only a complaint rate only complaints do."""
    bounced, complained = (data.draw(st.integers(0, sent)) for _ in range(2))
    counts = Health(Share(sent, bounced), Share(sent, complained), DAY, complained)
    assert find_pause_reason(counts, Limits(10, None, 10, None, None)) is None
    reason = find_pause_reason(counts, Limits(10, None, 10, 0.5, None))
    assert (reason is not None) == (complained > 5)
    assert reason is None or "complaint" in reason
