"""Dagster resource that limits checks and tests to recent rows: intraday runs do, nightly and manual runs do not."""

import dagster as dg


class Lookback(dg.ConfigurableResource):  # type: ignore[type-arg] # Dagster's own documentation subclasses it bare
    """Rows that arrived in the last `days`, by the database's clock; 0 means all rows."""

    days: int = 0
    full_refresh: bool = False
    """Whether dbt rebuilds incremental models from all rows; set in the Launchpad for a manual run."""

    def describe(self) -> str:
        """Return which rows are checked, for the metadata of a check."""
        return f"rows of the last {self.days} days" if self.days else "all rows"


INTRADAY_DAYS = 3
"""Covers a weekend without a run, and few enough days to be read every 15 minutes."""


def build_intraday_config() -> dict[str, object]:
    """Return the run configuration that limits checks to the last INTRADAY_DAYS days."""
    return {"resources": {"lookback": {"config": {"days": INTRADAY_DAYS}}}}
