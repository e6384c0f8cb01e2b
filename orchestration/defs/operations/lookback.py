"""How far back checks and tests look: lately by the quarter of an hour, everything by night and by hand."""

import dagster as dg


class Lookback(dg.ConfigurableResource):  # type: ignore[type-arg] # Dagster's own documentation subclasses it bare
    """The last `days` by the database's clock, in which rows arrived; 0 is all of history."""

    days: int = 0
    full_refresh: bool = False
    """Whether dbt counts from the beginning, and not on from what it has counted; asked for by hand."""

    def sentence(self) -> str:
        """Say in the metadata of a check what it has looked at."""
        return f"what arrived in the last {self.days} days" if self.days else "all of history"


LATELY = 3
"""The days of an intraday check: more than a night and a weekend's morning, few enough to be read every time."""


def lately() -> dict[str, object]:
    """Return the run configuration of a run whose checks look at the last days alone."""
    return {"resources": {"lookback": {"config": {"days": LATELY}}}}
