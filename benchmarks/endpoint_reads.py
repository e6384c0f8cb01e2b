"""Measures each analytics endpoint over HTTP beside its own SQL through psycopg.

The SQL is that of the same request, with the same role, in one transaction on an open connection: begin, set the
workspace, the statements, commit. The HTTP requests go to `salesmatter api` on a kept-alive connection, so they include
the authentication, the validation of the response, the ETag and a log line.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from benchmarks.bare_driver import CONNECT_OPTIONS
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.mart_builds import BuiltHistory, build_history
from benchmarks.progress import Progress
from benchmarks.raw_http import RawConnection, build_request, open_connections
from benchmarks.recording import Statement, record_statements
from benchmarks.rounds import Operation, Plan, measure_durations
from benchmarks.servers import Server, run_servers
from benchmarks.sizes import Size
from database.roles import APP_ROLE, connect, libpq_url, role_url
from salesmatter import accounts
from salesmatter.stack import Database, open_database

EVENTS: dict[Size, int] = {"small": 20_000, "full": 10_000_000}
PLANS: dict[Size, Plan] = {"small": Plan(12, 5, 2.0), "full": Plan(100, 10, 60.0)}
DAYS = 30
MAX_RATIO_TO_SQL, MAX_MILLISECONDS = 2.0, 50.0
CAMPAIGNS = "campaigns.csv"
_COPY = "COPY (SELECT * FROM analytics.campaigns WHERE workspace_id = %s) TO STDOUT (FORMAT csv)"
_BUSIEST = "SELECT workspace_id, campaign_id FROM analytics.campaigns ORDER BY sent DESC, campaign_id LIMIT 1"
_ENTER = "SELECT set_config('app.workspace_id', %s, true)"


@dataclass(frozen=True, slots=True)
class MetricsReader:
    """A workspace with metrics, and an API key."""

    database: Database
    workspace_id: UUID
    campaign_id: str
    api_key: str

    def paths(self, today: datetime) -> dict[str, str]:
        """Return the path of each endpoint by its name in the figures."""
        root = f"/api/metrics/{self.workspace_id}"
        period = f"start={(today - timedelta(days=DAYS)).date()}&end={today.date()}"
        return {
            "campaigns": f"{root}/campaigns",
            "campaigns/{campaignId}": f"{root}/campaigns/{self.campaign_id}",
            "timeseries": f"{root}/timeseries?{period}",
            "timeseries?campaignId": f"{root}/timeseries?{period}&campaignId={self.campaign_id}",
            "aggregate": f"{root}/aggregate?{period}",
        }


def measure(size: Size, progress: Progress) -> list[Figure]:
    """Measure on a temporary database; raises StartError."""
    with open_database() as server, build_history(server, EVENTS[size], progress) as history:
        return measure_on(history, PLANS[size], f"{EVENTS[size]:,} events", progress)


def measure_on(history: BuiltHistory, plan: Plan, size: str, progress: Progress) -> list[Figure]:
    """Measure on a built history; `size` is its length in the names of the figures. Raises StartError."""
    database = history.database
    reader = asyncio.run(_create_reader(database))
    paths = reader.paths(datetime.now(UTC))
    recorded_statements = asyncio.run(record_statements(database, reader.api_key, list(paths.values())))
    mart_statements = {
        name: _select_mart_statements(name, statements)
        for name, statements in zip(paths, recorded_statements, strict=True)
    }
    environment = {**database.to_environment(), "SALESMATTER_RATE_LIMIT": "off"}
    progress("Requesting the metrics over HTTP and through psycopg.")
    with run_servers(Server("api", ["salesmatter", "api"], "/health/ready", environment)) as (port,):
        return asyncio.run(_measure_endpoints(reader, paths, mart_statements, plan, port, size))


async def _create_reader(database: Database) -> MetricsReader:
    """Create an account and assign the workspace with the most sends to it."""
    account = await accounts.create_account(database, name="Bench", email="ann@bench.example", user_name="Ann")
    with connect(database.direct) as connection:
        row = connection.execute(_BUSIEST).fetchone()
        if row is None:
            raise BenchmarkError("The history has no campaigns.")
        workspace_id, campaign_id = row
        statement = "UPDATE app.workspaces SET account_id = %s WHERE id = %s"
        connection.execute(statement, [account.account_id, workspace_id])
    return MetricsReader(database, workspace_id, campaign_id, account.api_key)


def _select_mart_statements(name: str, recorded: Sequence[Statement]) -> list[Statement]:
    mart_statements = [statement for statement in recorded if b"analytics." in statement.text]
    if not mart_statements:
        raise BenchmarkError(f"The service read no analytics table for {name}.")
    return mart_statements


async def _measure_endpoints(
    reader: MetricsReader,
    paths: Mapping[str, str],
    mart_statements: Mapping[str, Sequence[Statement]],
    plan: Plan,
    port: int,
    size: str,
) -> list[Figure]:
    url = libpq_url(role_url(reader.database.owner, APP_ROLE))
    figures = []
    async with (
        open_connections(port) as (connection,),
        await AsyncConnection.connect(url, **{**CONNECT_OPTIONS, "autocommit": False}) as driver_connection,
    ):
        for name, path in paths.items():
            operations = {
                "http": _make_request(connection, path, reader),
                "sql": _make_query(driver_connection, reader, mart_statements[name]),
            }
            figures += _figures(f"GET {name} over {size}", await measure_durations(operations, plan))
        path = f"/api/metrics/{reader.workspace_id}/{CAMPAIGNS}"
        operations = {"http": _make_request(connection, path, reader), "sql": _make_copy(driver_connection, reader)}
        figures += _figures(f"GET {CAMPAIGNS} over {size}", await measure_durations(operations, plan))
    return figures


def _figures(name: str, durations: Mapping[str, Sequence[float]]) -> list[Figure]:
    slowest = quantiles(durations["http"], n=20)[-1]
    return [
        Figure(
            f"{name}, p50, beside its SQL",
            median(durations["http"]),
            "ms",
            median(durations["sql"]),
            at_most=MAX_RATIO_TO_SQL,
        ),
        Figure(f"{name}, p95", slowest, "ms", at_most=MAX_MILLISECONDS),
    ]


def _make_request(connection: RawConnection, path: str, reader: MetricsReader) -> Operation:
    request = build_request("GET", path, reader.api_key)
    return lambda: connection.send(request)


def _make_query(connection: AsyncConnection[Any], reader: MetricsReader, statements: Sequence[Statement]) -> Operation:
    async def run() -> None:
        await connection.execute(_ENTER, [str(reader.workspace_id)])
        for statement in statements:
            cursor = await connection.execute(statement.text, statement.parameters)
            await cursor.fetchall()
        await connection.commit()

    return run


def _make_copy(connection: AsyncConnection[Any], reader: MetricsReader) -> Operation:
    async def run() -> None:
        await connection.execute(_ENTER, [str(reader.workspace_id)])
        async with connection.cursor() as cursor, cursor.copy(_COPY, [reader.workspace_id]) as copy:
            async for _ in copy:
                pass
        await connection.commit()

    return run
