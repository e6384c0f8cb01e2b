"""The business days by which provider records are polled and polled again."""

from datetime import UTC, date, datetime

import dagster as dg

from orchestration.clock import Clock, parse_clock
from orchestration.settings import OrchestrationSettings

FIRST_DAY = date(2024, 1, 1)

DAYS_AHEAD_WHEN_ACCELERATED = 120
"""A clock that runs faster than real time soon shows days that Dagster, which asks the real one, does not know yet."""


def business_days_of(clock: Clock) -> dg.DailyPartitionsDefinition:
    """Return the business days (UTC) up to and with the current one of `clock`."""
    ahead = max((clock.today() - datetime.now(UTC).date()).days, 0)
    if clock.speed != 1:
        ahead += DAYS_AHEAD_WHEN_ACCELERATED
    return dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), end_offset=ahead + 1)


business_days = business_days_of(parse_clock(OrchestrationSettings().salesmatter_clock))
