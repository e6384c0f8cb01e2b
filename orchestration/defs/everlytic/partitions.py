"""Daily partitions: the business days by which provider records are polled and polled again."""

from datetime import UTC, date, datetime

import dagster as dg

from domain.clock import Clock
from orchestration.settings import OrchestrationSettings

FIRST_DAY = date(2024, 1, 1)

DAYS_AHEAD_WHEN_ACCELERATED = 120
"""Extra days when business time is accelerated: Dagster uses the real clock and would not know those days yet."""


def build_business_days(clock: Clock) -> dg.DailyPartitionsDefinition:
    """Return the business days (UTC) up to and including the current day of `clock`."""
    ahead = max((clock.today() - datetime.now(UTC).date()).days, 0)
    if clock.speed != 1:
        ahead += DAYS_AHEAD_WHEN_ACCELERATED
    return dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), end_offset=ahead + 1)


business_days = build_business_days(Clock.parse(OrchestrationSettings().salesmatter_clock))
