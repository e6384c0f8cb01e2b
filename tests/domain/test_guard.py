import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.guard import Health, Limits, verdict

LIMITS = Limits(200, 0.08, 0.01)


def test_the_reason_says_what_happened() -> None:
    """The 17th bounce of 200 mails pauses, the 16th does not; the sentence names the guard, the count and the limit."""
    assert verdict(Health(200, 16, 2), LIMITS) is None
    assert verdict(Health(200, 17, 0), LIMITS) == (
        "paused by the bounce guard: 17 of the last 200 mails bounced (more than 8 %)"
    )
    assert verdict(Health(200, 0, 3), LIMITS) == (
        "paused by the complaint guard: 3 of the last 200 mails were complained about (more than 1 %)"
    )


def test_few_mails_are_counted_against_the_whole_sample() -> None:
    """Three bounces of three mails are no alarm; 17 of the first 20 are, long before 200 mails have gone out."""
    assert verdict(Health(3, 3, 0), LIMITS) is None
    assert verdict(Health(20, 17, 0), LIMITS) == (
        "paused by the bounce guard: 17 of the last 20 mails bounced (more than 8 % of 200)"
    )


@pytest.mark.parametrize(("rate", "sample", "most"), [(0.29, 100, 29), (0.07, 100, 7), (0.0, 10, 0), (1.0, 10, 10)])
def test_a_rate_is_meant_as_it_is_written(rate: float, sample: int, most: int) -> None:
    """A rate allows exactly its share of the sample, whatever its binary number rounds to."""
    limits = Limits(sample, rate, None)
    assert verdict(Health(sample, most, 0), limits) is None
    assert verdict(Health(sample + 1, most + 1, 0), limits) is not None


@given(st.integers(1, 1000), st.data())
def test_no_rate_is_no_guard(sent: int, data: st.DataObject) -> None:
    """Where both rates are off nothing pauses; with one of them only its own kind does."""
    bounced, complained = (data.draw(st.integers(0, sent)) for _ in range(2))
    health = Health(sent, bounced, complained)
    assert verdict(health, Limits(10, None, None)) is None
    found = verdict(health, Limits(10, None, 0.5))
    assert (found is not None) == (complained > 5)
    assert found is None or "complaint" in found
