"""`salesmatter bench live`: how soon a commit is with who subscribes, and what subscriptions and the change log cost.

The API runs as `salesmatter api` does. Subscribers hold real connections to it, all in one process of their own, and
notice of an event no more than that it is whole and which commit it brings; another process commits. The target of 30
ms is for the largest crowd: of 50 queries each is of a workspace of its own, so that a commit changes one of them, as
when many teams work at once. That all 50 are of one workspace and each commit changes them all is measured besides.
"""

import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks import change_log, live_latency
from benchmarks.databases import fresh_database
from benchmarks.figures import Figure
from benchmarks.live_latency import QUERIES
from benchmarks.live_stage import LEADS, Stage, staged
from benchmarks.registry import Say, Size
from salesmatter.stack import Database, open_database

MOST_MEGABYTES = 500


@dataclass(frozen=True, slots=True)
class Volume:
    """How many subscribe, for how many seconds each crowd is written to, and how often and how long writers write."""

    crowds: Sequence[int]
    seconds: float
    idle: int
    turns: int
    turn_seconds: float


VOLUMES: dict[Size, Volume] = {
    "small": Volume((1, 20, 100), 1.5, 500, turns=1, turn_seconds=0.5),
    "full": Volume((1, 100, 1_000), 15.0, 5_000, turns=5, turn_seconds=2.0),
}


def run(size: Size, say: Say) -> list[Figure]:
    """Measure on a database that is made for it; raises StartError, and BenchFailed when events do not come."""
    _allow_many_connections()
    with open_database() as server:
        return measured(server, VOLUMES[size], say)


def measured(server: Database, volume: Volume, say: Say) -> list[Figure]:
    """Measure so much on databases beside that of `server`; raises as `run` does."""
    with fresh_database(server) as database:
        with staged(database) as stage:
            figures = [*live_latency.measure(stage, volume.crowds, volume.seconds, say)]
            figures += change_log.measure(stage, volume.turns, volume.turn_seconds, say)
        # What a process that has done nothing else takes.
        with fresh_database(server) as other, staged(other) as stage:
            return [*figures, *_idle(stage, volume.idle, say)]


def _idle(stage: Stage, number: int, say: Say) -> Iterator[Figure]:
    """Yield the memory of the API with so many subscriptions, each of a query of its own, and beside none."""
    say(f"{number:,} subscriptions that nothing happens to, of as many queries.")
    queries = stage.queries(lists=QUERIES)
    paths = [queries[one % QUERIES].path(LEADS + one // QUERIES) for one in range(number)]
    before = stage.service.memory()
    with stage.subscribed(paths) as subscribers:
        after = stage.service.memory()
        rate = number / subscribers.connected_seconds
    stage.service.processes.check()
    yield Figure(f"subscriptions opened, {number:,} of as many queries", rate, "/s")
    for name, held in after.items():
        each = (held - before[name]) * 1024 / number
        yield Figure(f"memory of the {name} with {number:,} idle subscriptions", held, "MB", at_most=MOST_MEGABYTES)
        yield Figure("memory of a subscription", each, "kB")


def _allow_many_connections() -> None:
    """Let this process and those it starts open as many files as the system permits them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
