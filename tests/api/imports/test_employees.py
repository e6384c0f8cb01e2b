"""How many employees a cell counts, however it is written, and which segment follows at each boundary."""

import pytest

from api.imports.values import parse_employees, parse_segment
from domain.lead import SegmentThresholds

BELOW = ("<", "< ", "less than ", "under ", "below ", "unter ", "weniger als ", "moins de ", "minder dan ", "menos de ")
"""What stands before a number that is not reached."""


@pytest.mark.parametrize(
    ("cell", "employees"),
    [
        *[(str(number), number) for number in (0, 1, 9, 99, 100, 101, 999, 1000, 1001, 12345)],
        *[(f"1{separator}500", 1500) for separator in (",", ".", "'", " ", "\u00a0", "\u2019")],
        ("12,345,678", 12_345_678),
        ("1,234 to 5,000", 1234),
        ("1,2345", 1),
        ("1,50", 1),
        ("99.9", 99),
        ("51-200", 51),
        ("51 \u2013 200 Mitarbeiter", 51),
        ("about 250", 250),
        ("250+", 250),
        ("10k+", 10_000),
        ("1.5k", 1500),
        ("1,5 K", 1500),
        ("2m", 2_000_000),
        ("2 M", 2_000_000),
        ("10 km", 10),
        ("more than 100", 100),
        ("not under 100", 100),
        ("", None),
        ("many", None),
        ("k", None),
    ],
)
def test_how_many_employees_a_cell_counts(cell: str, employees: int | None) -> None:
    """A number counts with its thousands, its decimals and its unit; of a range the lower end does."""
    assert parse_employees(cell) == employees


@pytest.mark.parametrize("word", [*BELOW, "  <", "UNDER "])
def test_a_number_that_is_not_reached(word: str) -> None:
    """Fewer than a number are one less at most, and never less than none."""
    numbers = ("0", "1", "2", "100", "1,000", "1k", "1.5k")
    assert [parse_employees(f"{word}{number}") for number in numbers] == [0, 0, 1, 99, 999, 999, 1499]


@pytest.mark.parametrize("sizes", [SegmentThresholds(), SegmentThresholds(2, 3), SegmentThresholds(50, 1500)])
def test_the_segment_changes_at_the_boundary(sizes: SegmentThresholds) -> None:
    """One employee fewer than a segment's size, just as many and one more, in each way to write a number."""
    middle, enterprise = sizes.mid_market_from, sizes.enterprise_from
    expected = {middle - 1: "SMB", middle: "Mid-Market", enterprise - 1: "Mid-Market", enterprise: "Enterprise"}
    expected |= {enterprise + 1: "Enterprise", middle + 1: "Mid-Market" if middle + 1 < enterprise else "Enterprise"}
    for employees, segment in expected.items():
        written = [str(employees), f"{employees:,}", f"{employees}-{10 * employees + 1}", f"{employees}+"]
        for cell in [*written, *(f"{word}{employees + 1}" for word in BELOW)]:
            assert parse_segment(cell, sizes) == (segment, True), cell
