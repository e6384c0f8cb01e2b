"""When a list need not be read on."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from everlytic.listings import NewestFirst

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def at(*minutes: int | None) -> list[datetime | None]:
    """Return moments so many minutes after noon; None has none."""
    return [None if one is None else NOON + timedelta(minutes=one) for one in minutes]


def test_a_list_in_order_ends_with_the_first_page_before() -> None:
    """Newest first, page by page, the page that lies wholly before noon is the last one asked for."""
    order = NewestFirst(NOON)
    assert [order.is_past(page) for page in (at(9, 5), at(4, -1), at(-2, -3))] == [False, False, True]


def test_pages_that_overlap_are_still_in_order() -> None:
    """A list that moves while it is read repeats what it said, which is no sign of another order."""
    order = NewestFirst(NOON)
    assert [order.is_past(page) for page in (at(9, 5), at(5, 4, -1), at(-1, -3))] == [False, False, True]


def test_a_list_that_shows_no_order_is_read_on() -> None:
    """Oldest first, all of one second, out of order once within a page or between two, one row without a time.

    None of that proves that later pages are older, however far before noon they lie.
    """
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
        order = NewestFirst(NOON)
        assert not any(order.is_past(page) for page in pages)


def test_a_page_that_begins_at_the_oldest_moment_is_not_past() -> None:
    """The first row of a page decides: one minute after noon and noon itself are not past, one minute before is."""
    for first, is_past in ((1, False), (0, False), (-1, True)):
        assert NewestFirst(NOON).is_past(at(first, -2)) is is_past


def test_an_order_once_shown_is_remembered() -> None:
    """After a page that descends, a page of one minute before noon is past, also where one between had no times."""
    order = NewestFirst(NOON)
    assert [order.is_past(page) for page in (at(3, 1), at(-1, None), at(-1, -1))] == [False, False, True]


def test_without_a_bound_all_is_read() -> None:
    """Who gives no oldest moment gets every page."""
    assert not NewestFirst(None).is_past(at(2, 1))


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=40), st.integers(1, 7), st.booleans())
def test_no_list_loses_a_row_that_its_order_promised(minutes: list[int], size: int, ascending: bool) -> None:
    """Any list that is sorted, either way, gives every row since noon before it is said to be past."""
    listed = at(*sorted(minutes, reverse=not ascending))
    order, seen = NewestFirst(NOON), []
    for first in range(0, len(listed), size):
        page = listed[first : first + size]
        seen += page
        if order.is_past(page):
            break
    wanted = [one for one in listed if one is not None and one >= NOON]
    assert [one for one in seen if one is not None and one >= NOON] == wanted
