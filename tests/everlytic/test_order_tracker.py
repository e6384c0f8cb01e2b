"""Tests when reading a list that was requested newest first can stop."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from everlytic.order_tracker import OrderTracker

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def at(*minutes: int | None) -> list[datetime | None]:
    """Return moments as minutes after noon; None stays None."""
    return [None if number is None else NOON + timedelta(minutes=number) for number in minutes]


def test_a_descending_list_ends_with_the_first_page_before_since() -> None:
    """In a list sorted newest first, the first page entirely before noon is the last one."""
    order = OrderTracker(NOON)
    assert [order.is_past(page) for page in (at(9, 5), at(4, -1), at(-2, -3))] == [False, False, True]


def test_pages_that_overlap_are_still_in_order() -> None:
    """Overlapping pages of a list that grows while it is read do not count as another order."""
    order = OrderTracker(NOON)
    assert [order.is_past(page) for page in (at(9, 5), at(5, 4, -1), at(-1, -3))] == [False, False, True]


def test_a_list_without_a_confirmed_order_is_read_to_the_end() -> None:
    """Ascending, equal, unordered or missing times never end a list, even when a page is before noon."""
    for pages in (
        [at(-9, -8), at(-7, 1)],
        [at(-9, -9), at(-9, -9)],
        [at(-2, -1, -3), at(-4, -5)],
        [at(-1, None)],
        [at(-1, -2, None)],
        [at(), at(None)],
        [at(3, -5), at(9, -1), at(-2, -3)],
        [at(9, 5), at(2, 1), at(7, -1), at(-2, -3)],
    ):
        order = OrderTracker(NOON)
        assert not any(order.is_past(page) for page in pages)


def test_a_page_that_starts_at_since_is_not_past() -> None:
    """A page is past when its first row is before noon, and not when that row is at noon or later."""
    for first, is_past in ((1, False), (0, False), (-1, True)):
        assert OrderTracker(NOON).is_past(at(first, -2)) is is_past


def test_a_confirmed_order_is_remembered() -> None:
    """After a descending page a page with equal times is past, also when a page in between lacked times."""
    order = OrderTracker(NOON)
    assert [order.is_past(page) for page in (at(3, 1), at(-1, None), at(-1, -1))] == [False, False, True]


def test_without_since_every_page_is_read() -> None:
    """Without an oldest moment no page is past."""
    assert not OrderTracker(None).is_past(at(2, 1))


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=40), st.integers(1, 7), st.booleans())
def test_a_sorted_list_loses_no_row(minutes: list[int], size: int, ascending: bool) -> None:
    """A list sorted in either direction yields every row since noon before a page is past."""
    listed = at(*sorted(minutes, reverse=not ascending))
    order, seen = OrderTracker(NOON), []
    for first in range(0, len(listed), size):
        page = listed[first : first + size]
        seen += page
        if order.is_past(page):
            break
    expected = [moment for moment in listed if moment is not None and moment >= NOON]
    assert [moment for moment in seen if moment is not None and moment >= NOON] == expected
