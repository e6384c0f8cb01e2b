"""Measures a daily build with 10,000 new events on a history and on one ten times as long.

A daily build is the `dbt build` that Dagster runs every 15 minutes: all models, and all tests except the nightly ones.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from psycopg import sql

from benchmarks.databases import fresh_database
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.history import add_recent_events, write_history
from benchmarks.progress import Progress
from benchmarks.sizes import Size
from database.roles import connect
from orchestration.defs.dbt.project import EXCLUDE_NIGHTLY, DbtProject
from orchestration.settings import ROOT
from salesmatter.stack import Database

EVENTS: dict[Size, int] = {"small": 10_000, "full": 1_000_000}
RECENT_EVENTS: dict[Size, int] = {"small": 1_000, "full": 10_000}
ROUNDS: dict[Size, int] = {"small": 1, "full": 5}
FAILURES = {"error", "fail"}
LONG_FACTOR = 10
MAX_RATIO_TO_SHORT = 1.5
HISTORY_AGE = timedelta(hours=2)
"""The time since the end of the history."""
# Tests check recently counted rows, which are few in a history that was counted as it happened.
_BACKDATE_COUNTS = "UPDATE intermediate.{} SET counted_at = counted_at - interval '2 days'"
COUNTED_TABLES = ("int_messages__engagement", "int_step_days__engagement")
DAILY_BUILD = ["--exclude-resource-type", "unit_test", *EXCLUDE_NIGHTLY]


@dataclass(frozen=True, slots=True)
class BuildTimes:
    """The seconds of a build: in total, and the sum of the statements of its models and tests."""

    run: float
    statements: float


@dataclass(frozen=True, slots=True)
class BuiltHistory:
    """A database with a built history, and the dbt project with its own target directory."""

    database: Database
    project: DbtProject

    def build(self, arguments: Sequence[str]) -> BuildTimes:
        """Build; raises BenchmarkError when a model or a test fails."""
        started = time.monotonic()
        results = self.project.build(self.database.direct, arguments)
        seconds = time.monotonic() - started
        if failed := [f"{result.node.name}: {result.message}" for result in results if result.status in FAILURES]:
            raise BenchmarkError(f"dbt failed on {'; '.join(failed)}.")
        return BuildTimes(seconds, sum(result.execution_time for result in results))

    def add_events_and_build(self, events: int) -> BuildTimes:
        """Add new events and run a daily build."""
        with connect(self.database.direct) as connection:
            add_recent_events(connection, events)
        return self.build(DAILY_BUILD)


def measure(short: BuiltHistory, long: BuiltHistory, size: Size, progress: Progress) -> list[Figure]:
    """Measure on two histories, the second `LONG_FACTOR` times as long; raises BenchmarkError."""
    events, new_events = EVENTS[size], RECENT_EVENTS[size]
    progress(f"Building {ROUNDS[size]} times with {new_events:,} new events, on each history in turn.")
    times: dict[str, list[BuildTimes]] = {"short": [], "long": []}
    for _ in range(ROUNDS[size]):
        times["short"].append(short.add_events_and_build(new_events))
        times["long"].append(long.add_events_and_build(new_events))
    run = {name: median(build.run for build in builds) for name, builds in times.items()}
    statements = {name: median(build.statements for build in builds) for name, builds in times.items()}
    description = f"{new_events:,} new events on {events * LONG_FACTOR:,}, beside {events:,}"
    return [
        Figure(f"incremental build, {description}", run["long"], "s", run["short"], at_most=MAX_RATIO_TO_SHORT),
        Figure("of it in models and tests, added up", statements["long"], "s", statements["short"]),
    ]


@contextmanager
def build_history(server: Database, events: int, progress: Progress) -> Iterator[BuiltHistory]:
    """Create a temporary database with a history of `events` events and built marts."""
    with fresh_database(server) as database, tempfile.TemporaryDirectory() as target:
        with connect(database.direct) as connection:
            write_history(connection, events, datetime.now(UTC) - HISTORY_AGE, progress)
        history = BuiltHistory(database, DbtProject(ROOT / "dbt_project", Path(target)))
        progress("Building its marts from scratch.")
        history.build(["--resource-type", "model"])
        with connect(database.direct) as connection:
            for table in COUNTED_TABLES:
                connection.execute(sql.SQL(_BACKDATE_COUNTS).format(sql.Identifier(table)))
            connection.execute("VACUUM (ANALYZE)")
        yield history
