"""Measures the time from the start of a commit to its event at a subscriber, beside a plain NOTIFY."""

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

from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.live_testbed import LiveTestbed, Query
from benchmarks.progress import Progress
from database.roles import APP_ROLE, connect

QUERIES = 50
MAX_P95_MS, MAX_RUNS_RATIO = 30.0, 1.0
NOTIFYING, SILENT = "notifying", "silent"
PERCENTS = (50, 95, 99)
GAP_SECONDS, WORKSPACE_GAP_SECONDS = 0.04, 0.16
"""The least seconds between two commits, and between two of one workspace: longer than the stream's rate limit."""
WARM_UP_COMMITS = 5
"""The number of first commits that are not measured."""
SETTLE_SECONDS, DRAIN_SECONDS = 0.5, 1.0
"""The wait before the first commit, so that all earlier events have arrived, and the wait for the last events."""

# Each run of a query authenticates with the API key once, and nothing else here does, so the lookups of the key count
# the runs. `last_used_at` lies in the future, because updating it once a minute would be another lookup.
_START_COUNTING = f"""
UPDATE app.api_keys SET last_used_at = now() + interval '1 day';
CREATE SCHEMA bench;
CREATE SEQUENCE bench.runs;
GRANT USAGE ON SCHEMA bench TO {APP_ROLE};
GRANT USAGE ON SEQUENCE bench.runs TO {APP_ROLE};
CREATE POLICY bench ON app.api_keys AS RESTRICTIVE FOR SELECT TO {APP_ROLE}
  USING ((SELECT nextval('bench.runs')) > 0)
"""  # noqa: S608 - our own role
_STOP_COUNTING = "DROP POLICY bench ON app.api_keys; DROP SCHEMA bench CASCADE"
_RUNS = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM bench.runs"


@dataclass(frozen=True, slots=True)
class Scenario:
    """The queries, the number of subscribers, who get the queries in rotation, and how the data is written."""

    queries: Sequence[Query]
    subscribers: int
    seconds: float
    kind: str = NOTIFYING
    gap_seconds: float = GAP_SECONDS


@dataclass(frozen=True, slots=True)
class Observation:
    """The result of a scenario: milliseconds from commit to event, and of plain notifications."""

    events: Sequence[float]
    notifications: Sequence[float]
    missed: int
    """The number of events that did not arrive exactly once."""
    commits: int
    runs: int
    client_cpu: float
    """CPU seconds of the subscribers' process per event."""


def measure(
    testbed: LiveTestbed, subscriber_counts: Sequence[int], seconds: float, progress: Progress
) -> Iterator[Figure]:
    """Yield the figures for each number of subscribers, and more figures for the largest."""
    queries = testbed.create_queries(workspaces=QUERIES)
    largest, scope = subscriber_counts[-1], f"of {QUERIES} queries"
    for number in subscriber_counts:
        progress(f"{_count_subscribers(number)} {scope}, each in its own workspace.")
        observation = observe(testbed, Scenario(queries, number, seconds))
        name = f"commit to event, {_count_subscribers(number)}"
        for percent in PERCENTS:
            milliseconds, baseline = (
                _percentile(observation.events, percent),
                _percentile(observation.notifications, percent),
            )
            yield Figure(f"{name}, p{percent}, beside a bare NOTIFY", milliseconds, "ms", baseline)
        if number == largest:
            yield Figure(f"{name}, p95", _percentile(observation.events, 95), "ms", at_most=MAX_P95_MS)
            yield Figure(f"{name}: missed or sent twice", observation.missed, "", at_most=0)
            yield Figure("the subscribers' own process, for each event", observation.client_cpu * 1e6, "µs of CPU")
    progress(f"The same written by psql: {_count_subscribers(largest)} {scope}, each in its own workspace.")
    yield from _latency_figures(
        "written by psql", largest, observe(testbed, Scenario(queries, largest, seconds, SILENT))
    )
    progress(f"{_count_subscribers(largest)} {scope}, all in one workspace, all changed by each commit.")
    scenario = Scenario(testbed.create_queries(lists=QUERIES), largest, seconds, gap_seconds=0.4 + largest / 2000)
    yield from _latency_figures(f"{QUERIES} queries changed at once", largest, observe(testbed, scenario))
    yield from _compare_identical_queries(testbed, largest, seconds, progress)


def _latency_figures(prefix: str, subscribers: int, observation: Observation) -> Iterator[Figure]:
    for percent in PERCENTS[:2]:
        name = f"{prefix}, {_count_subscribers(subscribers)}, p{percent}"
        yield Figure(name, _percentile(observation.events, percent), "ms")


def _compare_identical_queries(
    testbed: LiveTestbed, subscribers: int, seconds: float, progress: Progress
) -> Iterator[Figure]:
    """Yield how often a query runs per commit with many subscribers, beside one subscriber."""
    progress(f"{_count_subscribers(subscribers)} of one query.")
    queries = testbed.create_queries()
    with _count_query_runs(testbed) as count:
        single, many = (observe(testbed, Scenario(queries, number, seconds / 2), count) for number in (1, subscribers))
    name = f"query runs per commit, {subscribers:,} identical subscribers, beside one"
    yield Figure(name, many.runs / many.commits, "queries", single.runs / single.commits, at_most=MAX_RUNS_RATIO)
    yield from _latency_figures("one query", subscribers, many)


@contextmanager
def _count_query_runs(testbed: LiveTestbed) -> Iterator[Callable[[], int]]:
    """Count the runs of queries; yields a function that returns the number so far."""
    with connect(testbed.database.direct) as connection:
        connection.execute(_START_COUNTING)

        def count() -> int:
            (runs,) = connection.execute(_RUNS).fetchone() or (0,)
            return int(runs)

        try:
            yield count
        finally:
            connection.execute(_STOP_COUNTING)


def observe(testbed: LiveTestbed, scenario: Scenario, count: Callable[[], int] = lambda: 0) -> Observation:
    """Subscribe, commit alternating with plain notifications, and return the result; `count` runs before and after."""
    queries = [*islice(cycle(scenario.queries), scenario.subscribers)]
    subscribers_by_workspace = Counter(query.workspace for query in queries)
    commits, gaps = _plan_commits(scenario, list(subscribers_by_workspace))
    with testbed.subscribe([query.path() for query in queries], listen=True) as subscribers:
        time.sleep(SETTLE_SECONDS)
        before = count()
        started = testbed.write(scenario.kind, commits, gaps)
        time.sleep(DRAIN_SECONDS)
        runs = count() - before
        recorded = subscribers.end()
    testbed.service.processes.require_running()
    measured = {number: workspace for number, workspace in commits if number >= 2 * WARM_UP_COMMITS}
    events = [(number, (at - started[number]) / 1e6) for number, at in recorded["events"] if number in measured]
    received = Counter(number for number, _ in events)
    expected = {
        number: subscribers_by_workspace[workspace] for number, workspace in measured.items() if workspace is not None
    }
    notifications = [(at - started[number]) / 1e6 for number, at in recorded["notifications"] if number in measured]
    if not events or not notifications:
        raise BenchmarkError("No events arrived.")
    return Observation(
        events=[milliseconds for _, milliseconds in events],
        notifications=notifications,
        missed=sum(abs(times - received[number]) for number, times in expected.items()),
        commits=sum(1 for _, workspace in commits if workspace is not None),
        runs=runs,
        client_cpu=recorded["cpu_seconds"] / len(recorded["events"]),
    )


def _plan_commits(scenario: Scenario, workspaces: Sequence[UUID]) -> tuple[list[tuple[int, UUID | None]], list[float]]:
    """Return commits, each followed by a plain notification, and the seconds to wait after each.

    The waits are random, so that commits do not coincide with regular polling.
    """
    min_gap = max(scenario.gap_seconds, WORKSPACE_GAP_SECONDS / len(workspaces)) / 2
    count = WARM_UP_COMMITS + math.ceil(scenario.seconds / (3 * min_gap))
    commits: list[tuple[int, UUID | None]] = []
    for workspace in islice(cycle(workspaces), count):
        commits += [(len(commits), workspace), (len(commits) + 1, None)]
    return commits, [random.uniform(min_gap, 2 * min_gap) for _ in commits]  # noqa: S311 - no secret


def _count_subscribers(subscribers: int) -> str:
    return f"{subscribers:,} subscriber{'s' if subscribers > 1 else ''}"


def _percentile(milliseconds: Sequence[float], percent: int) -> float:
    return quantiles(milliseconds, n=100, method="inclusive")[percent - 1]
