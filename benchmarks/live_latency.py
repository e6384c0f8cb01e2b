"""How long after a commit began its event is with a subscriber, beside a bare notification in turn with it."""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import quantiles
from uuid import UUID

from benchmarks.errors import BenchFailed
from benchmarks.figures import Figure
from benchmarks.live_stage import Query, Stage
from benchmarks.registry import Say
from database.roles import APP_ROLE, connect

QUERIES = 50
MOST_P95_MS, MOST_RUNS = 30.0, 1.0
PINGING, SILENT = "pinging", "silent"
PERCENTS = (50, 95, 99)
GAP_SECONDS, AGAIN_SECONDS = 0.04, 0.16
"""The least between two commits, and between two of one workspace: longer than a stream's pace holds back."""
UNMEASURED = 5
"""So many commits come first: what is done for the first time is not what is asked for."""
QUIET_SECONDS, LAST_SECONDS = 0.5, 1.0
"""What passes before, so that everybody has seen what was set up, and what the last events may take to arrive."""

# Whoever comes in is looked up by their key: as often as queries are asked, and by nobody else here. That it was used
# would be noted once a minute, which looks it up again.
_COUNT_RUNS = f"""
UPDATE app.api_keys SET last_used_at = now() + interval '1 day';
CREATE SCHEMA bench;
CREATE SEQUENCE bench.runs;
GRANT USAGE ON SCHEMA bench TO {APP_ROLE};
GRANT USAGE ON SEQUENCE bench.runs TO {APP_ROLE};
CREATE POLICY bench ON app.api_keys AS RESTRICTIVE FOR SELECT TO {APP_ROLE}
  USING ((SELECT nextval('bench.runs')) > 0)
"""  # noqa: S608 - our own role
_UNCOUNT = "DROP POLICY bench ON app.api_keys; DROP SCHEMA bench CASCADE"
_RUNS = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM bench.runs"


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many subscribe, one after the other each to the next of some queries, and how their data is written."""

    queries: Sequence[Query]
    subscribers: int
    seconds: float
    kind: str = PINGING
    gap_seconds: float = GAP_SECONDS


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a crowd: milliseconds from commit to event, and of bare notifications."""

    events: Sequence[float]
    bare: Sequence[float]
    missed: int
    """Events that did not come by themselves, or came twice."""
    commits: int
    runs: int
    client_cpu: float
    """Seconds of a processor that the subscribers' process took for each event."""


def measure(stage: Stage, crowds: Sequence[int], seconds: float, say: Say) -> Iterator[Figure]:
    """Yield the figures for so many subscribers each, for so long each, and further ones for the largest crowd."""
    apart = stage.queries(workspaces=QUERIES)
    largest, told = crowds[-1], f"of {QUERIES} queries"
    for number in crowds:
        say(f"{_crowd(number)} {told}, of a workspace each.")
        seen = observe(stage, Crowd(apart, number, seconds))
        name = f"commit to event, {_crowd(number)}"
        for percent in PERCENTS:
            ours, bare = _percentile(seen.events, percent), _percentile(seen.bare, percent)
            yield Figure(f"{name}, p{percent}, beside a bare NOTIFY", ours, "ms", bare)
        if number == largest:
            yield Figure(f"{name}, p95", _percentile(seen.events, 95), "ms", at_most=MOST_P95_MS)
            yield Figure(f"{name}: missed or sent twice", seen.missed, "", at_most=0)
            yield Figure("the subscribers' own process, for each event", seen.client_cpu * 1e6, "µs of CPU")
    say(f"The same written by psql: {_crowd(largest)} {told}, of a workspace each.")
    yield from _spread("written by psql", largest, observe(stage, Crowd(apart, largest, seconds, SILENT)))
    say(f"{_crowd(largest)} {told}, all of one workspace, all changed by each commit.")
    together = Crowd(stage.queries(lists=QUERIES), largest, seconds, gap_seconds=0.4 + largest / 2000)
    yield from _spread(f"{QUERIES} queries changed at once", largest, observe(stage, together))
    yield from _identical(stage, largest, seconds, say)


def _spread(how: str, subscribers: int, seen: Seen) -> Iterator[Figure]:
    for percent in PERCENTS[:2]:
        name = f"{how}, {_crowd(subscribers)}, p{percent}"
        yield Figure(name, _percentile(seen.events, percent), "ms")


def _identical(stage: Stage, subscribers: int, seconds: float, say: Say) -> Iterator[Figure]:
    """Yield how often a query is asked for each commit when many subscribe to it, beside one subscriber."""
    say(f"{_crowd(subscribers)} of one query.")
    queries = stage.queries()
    with _counting(stage) as count:
        one, many = (observe(stage, Crowd(queries, number, seconds / 2), count) for number in (1, subscribers))
    name = f"asked for each commit, {subscribers:,} identical subscribers, beside one"
    yield Figure(name, many.runs / many.commits, "queries", one.runs / one.commits, at_most=MOST_RUNS)
    yield from _spread("one query", subscribers, many)


@contextmanager
def _counting(stage: Stage) -> Iterator[Callable[[], int]]:
    """Give what counts the queries that were asked so far."""
    with connect(stage.database.direct) as connection:
        connection.execute(_COUNT_RUNS)

        def count() -> int:
            (runs,) = connection.execute(_RUNS).fetchone() or (0,)
            return int(runs)

        try:
            yield count
        finally:
            connection.execute(_UNCOUNT)


def observe(stage: Stage, crowd: Crowd, count: Callable[[], int] = lambda: 0) -> Seen:
    """Subscribe, write in turn with bare notifications, and return what came; `count` is asked before and after."""
    queries = [*islice(cycle(crowd.queries), crowd.subscribers)]
    readers = Counter(query.workspace for query in queries)
    acts, gaps = _plan(crowd, list(readers))
    with stage.subscribed([query.path() for query in queries], listen=True) as subscribers:
        time.sleep(QUIET_SECONDS)
        before = count()
        begun = stage.write(crowd.kind, acts, gaps)
        time.sleep(LAST_SECONDS)
        runs = count() - before
        noted = subscribers.end()
    stage.service.processes.check()
    measured = {number: workspace for number, workspace in acts if number >= 2 * UNMEASURED}
    events = [(number, (at - begun[number]) / 1e6) for number, at in noted["events"] if number in measured]
    came = Counter(number for number, _ in events)
    wanted = {number: readers[workspace] for number, workspace in measured.items() if workspace is not None}
    bare = [(at - begun[number]) / 1e6 for number, at in noted["heard"] if number in measured]
    if not events or not bare:
        raise BenchFailed("No event came of what was committed.")
    return Seen(
        events=[taken for _, taken in events],
        bare=bare,
        missed=sum(abs(number - came[one]) for one, number in wanted.items()),
        commits=sum(1 for _, workspace in acts if workspace is not None),
        runs=runs,
        client_cpu=noted["cpu_seconds"] / len(noted["events"]),
    )


def _plan(crowd: Crowd, workspaces: Sequence[UUID]) -> tuple[list[tuple[int, UUID | None]], list[float]]:
    """Return commits, each followed by a bare notification, and how long to wait after each.

    The waits differ, so that commits keep no step with whatever looks for them at regular times.
    """
    least = max(crowd.gap_seconds, AGAIN_SECONDS / len(workspaces)) / 2
    commits = UNMEASURED + math.ceil(crowd.seconds / (3 * least))
    acts: list[tuple[int, UUID | None]] = []
    for workspace in islice(cycle(workspaces), commits):
        acts += [(len(acts), workspace), (len(acts) + 1, None)]
    return acts, [random.uniform(least, 2 * least) for _ in acts]  # noqa: S311 - no secret


def _crowd(subscribers: int) -> str:
    return f"{subscribers:,} subscriber{'s' if subscribers > 1 else ''}"


def _percentile(milliseconds: Sequence[float], percent: int) -> float:
    return quantiles(milliseconds, n=100, method="inclusive")[percent - 1]
