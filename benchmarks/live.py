"""`salesmatter bench live`: measures how soon subscribers receive a commit, and the cost of subscriptions and the log.

The API runs as `salesmatter api`. Subscribers have real connections to it from one separate process, and only check
that an event is complete and which commit it contains; another process commits. The target of 30 ms is for the largest
number of subscribers. They use 50 queries, each of another workspace, so that a commit changes one query, as when many
teams work at once. It also measures 50 queries of one workspace, which each commit changes.
"""

import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks import change_log, live_latency
from benchmarks.databases import fresh_database
from benchmarks.figures import Figure
from benchmarks.live_latency import QUERIES
from benchmarks.live_testbed import LEADS, LiveTestbed, start_live_testbed
from benchmarks.progress import Progress
from benchmarks.sizes import Size
from salesmatter.stack import Database, open_database

MAX_MEGABYTES = 500


@dataclass(frozen=True, slots=True)
class Volume:
    """The numbers of subscribers, the seconds of each measurement, and how often and how long writers write."""

    subscribers: Sequence[int]
    seconds: float
    idle: int
    repetitions: int
    repetition_seconds: float


VOLUMES: dict[Size, Volume] = {
    "small": Volume((1, 20, 100), 1.5, 500, repetitions=1, repetition_seconds=0.5),
    "full": Volume((1, 100, 1_000), 15.0, 5_000, repetitions=5, repetition_seconds=2.0),
}


def run(size: Size, progress: Progress) -> list[Figure]:
    """Measure on temporary databases; raises StartError, and BenchmarkError when no events arrive."""
    _allow_many_connections()
    with open_database() as server:
        return measure(server, VOLUMES[size], progress)


def measure(server: Database, volume: Volume, progress: Progress) -> list[Figure]:
    """Measure with a volume on temporary databases of `server`; raises the errors of `run`."""
    with fresh_database(server) as database:
        with start_live_testbed(database) as testbed:
            figures = [*live_latency.measure(testbed, volume.subscribers, volume.seconds, progress)]
            figures += change_log.measure(testbed, volume.repetitions, volume.repetition_seconds, progress)
        # In a new process, because earlier measurements use memory.
        with fresh_database(server) as other, start_live_testbed(other) as testbed:
            return [*figures, *_measure_idle_subscriptions(testbed, volume.idle, progress)]


def _measure_idle_subscriptions(testbed: LiveTestbed, number: int, progress: Progress) -> Iterator[Figure]:
    """Yield the memory of the API with `number` subscriptions to different queries, in total and per subscription."""
    progress(f"{number:,} idle subscriptions to as many queries.")
    queries = testbed.create_queries(lists=QUERIES)
    paths = [queries[index % QUERIES].path(LEADS + index // QUERIES) for index in range(number)]
    before = testbed.service.memory()
    with testbed.subscribe(paths) as subscribers:
        after = testbed.service.memory()
        rate = number / subscribers.connected_seconds
    testbed.service.processes.require_running()
    yield Figure(f"subscriptions opened, {number:,} of as many queries", rate, "/s")
    for name, megabytes in after.items():
        kilobytes = (megabytes - before[name]) * 1024 / number
        yield Figure(f"memory of the {name} with {number:,} idle subscriptions", megabytes, "MB", at_most=MAX_MEGABYTES)
        yield Figure("memory of a subscription", kilobytes, "kB")


def _allow_many_connections() -> None:
    """Raise the limit of open files of this process and its children to the permitted maximum."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))
