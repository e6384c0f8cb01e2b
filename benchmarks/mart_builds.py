"""What a run of the day costs when 10,000 events are new, on a history and on one ten times as long, in turn.

A run is `dbt build` as Dagster runs it every quarter of an hour: all models, and all tests but the nightly ones.
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
from benchmarks.errors import BenchFailed
from benchmarks.figures import Figure
from benchmarks.history import add_news, write_history
from benchmarks.registry import Say, Size
from database.roles import connect
from orchestration.defs.dbt.project import OF_THE_DAY, DbtProject
from orchestration.settings import ROOT
from salesmatter.stack import Database

EVENTS: dict[Size, int] = {"small": 10_000, "full": 1_000_000}
NEWS: dict[Size, int] = {"small": 1_000, "full": 10_000}
ROUNDS: dict[Size, int] = {"small": 1, "full": 5}
LONGER = 10
MOST_OF_SHORT = 1.5
QUIET_SINCE = timedelta(hours=2)
"""How long ago the history ends: what arrived a moment ago is looked at twice, and is not what is asked for."""
_ARRIVED_LONG_AGO = """
UPDATE app.email_events SET synced_at = synced_at - interval '1 hour' WHERE synced_at > now() - interval '1 hour'
"""
# In a history that was counted as it happened, what was counted of late is little; tests look at that.
_COUNTED_LONG_AGO = "UPDATE intermediate.{} SET counted_at = counted_at - interval '2 days'"
COUNTED = ("int_messages__engagement", "int_step_days__engagement")
RUN = ["--exclude-resource-type", "unit_test", *OF_THE_DAY]


@dataclass(frozen=True, slots=True)
class Taken:
    """The seconds of a run: all of it, and the statements of its models and tests added up."""

    run: float
    statements: float


@dataclass(frozen=True, slots=True)
class Counted:
    """A database whose history is counted, and the project with a target folder for it alone."""

    database: Database
    project: DbtProject

    def build(self, arguments: Sequence[str]) -> Taken:
        """Build; raises BenchFailed when a model or a test fails."""
        started = time.monotonic()
        results = self.project.build(self.database.direct, arguments)
        seconds = time.monotonic() - started
        if failed := [f"{one.node.name}: {one.message}" for one in results if one.status in {"error", "fail"}]:
            raise BenchFailed(f"dbt failed on {'; '.join(failed)}.")
        return Taken(seconds, sum(one.execution_time for one in results))

    def hear_and_build(self, news: int) -> Taken:
        """Let so many events arrive, long after those before, and build as a run of the day does."""
        with connect(self.database.direct) as connection:
            connection.execute(_ARRIVED_LONG_AGO)
            add_news(connection, news)
        return self.build(RUN)


def measure(short: Counted, long: Counted, size: Size, say: Say) -> list[Figure]:
    """Measure on two histories of which the second is `LONGER` times as long; raises BenchFailed."""
    events, news = EVENTS[size], NEWS[size]
    say(f"Building {ROUNDS[size]} times with {news:,} new events, on each history in turn.")
    taken: dict[str, list[Taken]] = {"short": [], "long": []}
    for _ in range(ROUNDS[size]):
        taken["short"].append(short.hear_and_build(news))
        taken["long"].append(long.hear_and_build(news))
    run = {name: median(one.run for one in builds) for name, builds in taken.items()}
    statements = {name: median(one.statements for one in builds) for name, builds in taken.items()}
    named = f"{news:,} new events on {events * LONGER:,}, beside {events:,}"
    return [
        Figure(f"incremental build, {named}", run["long"], "s", run["short"], at_most=MOST_OF_SHORT),
        Figure("of it in models and tests, added up", statements["long"], "s", statements["short"]),
    ]


@contextmanager
def counted(server: Database, events: int, say: Say) -> Iterator[Counted]:
    """Make a database with a history of so many events, its marts built, and drop it however the block ends."""
    with fresh_database(server) as database, tempfile.TemporaryDirectory() as target:
        with connect(database.direct) as connection:
            write_history(connection, events, datetime.now(UTC) - QUIET_SINCE, say)
        history = Counted(database, DbtProject(ROOT / "dbt_project", Path(target)))
        say("Building its marts from nothing.")
        history.build(["--resource-type", "model"])
        with connect(database.direct) as connection:
            for table in COUNTED:
                connection.execute(sql.SQL(_COUNTED_LONG_AGO).format(sql.Identifier(table)))
            connection.execute("VACUUM (ANALYZE)")
        yield history
