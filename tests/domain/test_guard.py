import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.guard import Health, Limits, find_pause_reason

LIMITS = Limits(200, 0.08, 0.01)


def test_the_reason_names_guard_count_and_limit() -> None:
    """With a limit of 8 %, 17 bounces in 200 mails pause the sequence and 16 do not; the reason gives the numbers."""
    assert find_pause_reason(Health(200, 16, 2), LIMITS) is None
    assert find_pause_reason(Health(200, 17, 0), LIMITS) == (
        "paused by the bounce guard: 17 of the last 200 mails bounced (more than 8 %)"
    )
    assert find_pause_reason(Health(200, 0, 3), LIMITS) == (
        "paused by the complaint guard: 3 of the last 200 mails were complained about (more than 1 %)"
    )


def test_the_rate_applies_to_the_whole_sample() -> None:
    """Three bounces in three mails do not pause; 17 in the first 20 do, before 200 mails have been sent."""
    assert find_pause_reason(Health(3, 3, 0), LIMITS) is None
    assert find_pause_reason(Health(20, 17, 0), LIMITS) == (
        "paused by the bounce guard: 17 of the last 20 mails bounced (more than 8 % of 200)"
    )


@pytest.mark.parametrize(("rate", "sample", "most"), [(0.29, 100, 29), (0.07, 100, 7), (0.0, 10, 0), (1.0, 10, 10)])
def test_a_rate_is_an_exact_decimal(rate: float, sample: int, most: int) -> None:
    """A rate allows exactly its share of the sample, without a binary rounding error."""
    limits = Limits(sample, rate, None)
    assert find_pause_reason(Health(sample, most, 0), limits) is None
    assert find_pause_reason(Health(sample + 1, most + 1, 0), limits) is not None


@given(st.integers(1, 1000), st.data())
def test_a_guard_without_a_rate_is_off(sent: int, data: st.DataObject) -> None:
    """Without rates nothing pauses; with only a complaint rate only complaints do."""
    bounced, complained = (data.draw(st.integers(0, sent)) for _ in range(2))
    health = Health(sent, bounced, complained)
    assert find_pause_reason(health, Limits(10, None, None)) is None
    reason = find_pause_reason(health, Limits(10, None, 0.5))
    assert (reason is not None) == (complained > 5)
    assert reason is None or "complaint" in reason
