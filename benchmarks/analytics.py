"""`salesmatter bench analytics`: measures the path of provider data from import to the analytics endpoints.

It compares landing provider rows with a COPY of them, webhook intake with a batched insert, a daily build on a long
history with one on a short history, and each analytics endpoint with its own SQL on the long history.
"""

from benchmarks import endpoint_reads, landing_rows, mart_builds, webhook_intake
from benchmarks.figures import Figure
from benchmarks.progress import Progress
from benchmarks.sizes import Size
from salesmatter.stack import open_database


def run(size: Size, progress: Progress) -> list[Figure]:
    """Measure on temporary databases; raises StartError."""
    figures = [*landing_rows.measure(size, progress), *webhook_intake.measure(size, progress)]
    events = mart_builds.EVENTS[size]
    with (
        open_database() as server,
        mart_builds.build_history(server, events, progress) as short,
        mart_builds.build_history(server, events * mart_builds.LONG_FACTOR, progress) as long,
    ):
        figures += mart_builds.measure(short, long, size, progress)
        history_size = f"{events * mart_builds.LONG_FACTOR:,} events"
        return figures + endpoint_reads.measure_on(long, endpoint_reads.PLANS[size], history_size, progress)
