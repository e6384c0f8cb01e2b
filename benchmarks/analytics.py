"""`salesmatter bench analytics`: from the provider's rows to the figures, each part beside the least it could cost.

Provider rows landed beside a bare COPY of them; pushed events taken in beside a bare batched insert; a run of the day
on a long history beside one on a short history; each analytics endpoint beside its own SQL, over the long history.
"""

from benchmarks import endpoint_reads, landing_rows, mart_builds, webhook_intake
from benchmarks.figures import Figure
from benchmarks.registry import Say, Size
from salesmatter.stack import open_database


def run(size: Size, say: Say) -> list[Figure]:
    """Measure on databases that are made for it; raises StartError."""
    found = [*landing_rows.measure(size, say), *webhook_intake.measure(size, say)]
    events = mart_builds.EVENTS[size]
    with (
        open_database() as server,
        mart_builds.counted(server, events, say) as short,
        mart_builds.counted(server, events * mart_builds.LONGER, say) as long,
    ):
        found += mart_builds.measure(short, long, size, say)
        shown = f"{events * mart_builds.LONGER:,} events"
        return found + endpoint_reads.measure_on(long, endpoint_reads.PLANS[size], shown, say)
