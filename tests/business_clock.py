"""The business clock of a test run: real time, or a year away from it, so that no comparison can mix the two.

`SALESMATTER_TEST_CLOCK` says which: `real` (the default), `ahead` or `behind`. `tests/conftest.py` sets
SALESMATTER_CLOCK by it before any other module is imported. Everything that reads a clock then agrees: the app, its
worker, the assets, the sandbox, and the processes that tests start with `BUSINESS_ENVIRONMENT`. The benchmarks and the
demo set a clock of their own.
"""

import os
from datetime import UTC, datetime, timedelta

from domain.clock import EPOCH, Clock

SETTING = "SALESMATTER_TEST_CLOCK"
YEAR = timedelta(days=365)
SHIFTS = {"real": timedelta(), "ahead": YEAR, "behind": -YEAR}


class UnknownTestClock(ValueError):
    """SALESMATTER_TEST_CLOCK names no clock."""


def read_shift(name: str) -> timedelta:
    """Return how far a clock of this name is ahead of real time; raises UnknownTestClock."""
    if name not in SHIFTS:
        raise UnknownTestClock(f"{SETTING} is '{name}'; it must be one of: {', '.join(SHIFTS)}.")
    return SHIFTS[name]


CLOCK_NAME = os.environ.get(SETTING) or "real"
SHIFT = read_shift(CLOCK_NAME)
BUSINESS_ENVIRONMENT = {"SALESMATTER_CLOCK": str(Clock(0.0, EPOCH + SHIFT, 1.0))} if SHIFT else {}
"""What a process that a test starts needs in its environment to share the business clock."""
BUSINESS_NOW = f"(now() + interval '{SHIFT.days} days')"
"""The business time now, as SQL: for the rows that tests write by hand."""


def set_business_clock() -> None:
    """Set SALESMATTER_CLOCK in this process to the business clock."""
    os.environ.pop("SALESMATTER_CLOCK", None)
    os.environ.update(BUSINESS_ENVIRONMENT)


def business_now() -> datetime:
    """Return the business time now, in UTC."""
    return datetime.now(UTC) + SHIFT
