"""What each analytics endpoint costs over HTTP, in turn with its own SQL over the same marts by the bare driver.

The SQL is what the service sends for this very request, by the same role, as a transaction of its own on a warm
connection: begin, enter the workspace, the statements, commit. HTTP comes on a kept-alive connection from the service
as `salesmatter api` runs it, and does besides what every request does: it lets the caller in by a real API key, checks
what it answers against its schema, tags it, and writes a line of the log.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from benchmarks.bare_driver import CONNECTING
from benchmarks.errors import BenchFailed
from benchmarks.figures import Figure
from benchmarks.mart_builds import Counted, counted
from benchmarks.recording import Statement, statements_of
from benchmarks.registry import Say, Size
from benchmarks.rounds import Act, Plan, durations
from benchmarks.servers import Server, serving
from benchmarks.wire import Wire, request, wires
from database.roles import APP_ROLE, connect, libpq_url, role_url
from salesmatter import accounts
from salesmatter.stack import Database, open_database

EVENTS: dict[Size, int] = {"small": 20_000, "full": 10_000_000}
PLANS: dict[Size, Plan] = {"small": Plan(12, 5, 2.0), "full": Plan(100, 10, 60.0)}
DAYS = 30
MOST_OF_SQL, MOST_MILLISECONDS = 2.0, 50.0
CAMPAIGNS = "campaigns.csv"
_COPY = "COPY (SELECT * FROM analytics.campaigns WHERE workspace_id = %s) TO STDOUT (FORMAT csv)"
_BUSIEST = "SELECT workspace_id, campaign_id FROM analytics.campaigns ORDER BY sent DESC, campaign_id LIMIT 1"
_ENTER = "SELECT set_config('app.workspace_id', %s, true)"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who may read the figures of a workspace."""

    database: Database
    workspace_id: UUID
    campaign_id: str
    api_key: str

    def paths(self, today: datetime) -> dict[str, str]:
        """Return the path of each endpoint, by the name that figures have."""
        root = f"/api/metrics/{self.workspace_id}"
        period = f"start={(today - timedelta(days=DAYS)).date()}&end={today.date()}"
        return {
            "campaigns": f"{root}/campaigns",
            "campaigns/{campaignId}": f"{root}/campaigns/{self.campaign_id}",
            "timeseries": f"{root}/timeseries?{period}",
            "timeseries?campaignId": f"{root}/timeseries?{period}&campaignId={self.campaign_id}",
            "aggregate": f"{root}/aggregate?{period}",
        }


def measure(size: Size, say: Say) -> list[Figure]:
    """Measure on a database that is made for it; raises StartError."""
    with open_database() as server, counted(server, EVENTS[size], say) as history:
        return measure_on(history, PLANS[size], f"{EVENTS[size]:,} events", say)


def measure_on(history: Counted, plan: Plan, size: str, say: Say) -> list[Figure]:
    """Measure on a history that is counted; `size` says in each figure how long it is. Raises StartError."""
    database = history.database
    reader = asyncio.run(_reader(database))
    paths = reader.paths(datetime.now(UTC))
    recorded = asyncio.run(statements_of(database, reader.api_key, list(paths.values())))
    own = {name: _of_marts(name, sent) for name, sent in zip(paths, recorded, strict=True)}
    environment = {**database.environment(), "SALESMATTER_RATE_LIMIT": "off"}
    say("Reading the figures over HTTP, and by the bare driver.")
    with serving(Server("api", ["salesmatter", "api"], "/health/ready", environment)) as (port,):
        return asyncio.run(_measured(reader, paths, own, plan, port, size))


async def _reader(database: Database) -> Reader:
    """Hand the workspace that has sent most to an account of ours."""
    account = await accounts.create(database, name="Bench", email="ann@bench.example", user_name="Ann")
    with connect(database.direct) as connection:
        found = connection.execute(_BUSIEST).fetchone()
        if found is None:
            raise BenchFailed("No campaign was counted, so there is nothing to read.")
        workspace_id, campaign_id = found
        statement = "UPDATE app.workspaces SET account_id = %s WHERE id = %s"
        connection.execute(statement, [account.account_id, workspace_id])
    return Reader(database, workspace_id, campaign_id, account.api_key)


def _of_marts(name: str, sent: Sequence[Statement]) -> list[Statement]:
    own = [statement for statement in sent if b"analytics." in statement.text]
    if not own:
        raise BenchFailed(f"The service read no mart for {name}.")
    return own


async def _measured(
    reader: Reader, paths: Mapping[str, str], own: Mapping[str, Sequence[Statement]], plan: Plan, port: int, size: str
) -> list[Figure]:
    url = libpq_url(role_url(reader.database.owner, APP_ROLE))
    figures = []
    async with (
        wires(port) as (wire,),
        await AsyncConnection.connect(url, **{**CONNECTING, "autocommit": False}) as connection,
    ):
        for name, path in paths.items():
            acts = {"http": _asking(wire, path, reader), "sql": _running(connection, reader, own[name])}
            figures += _figures(f"GET {name} over {size}", await durations(acts, plan))
        path = f"/api/metrics/{reader.workspace_id}/{CAMPAIGNS}"
        acts = {"http": _asking(wire, path, reader), "sql": _copying(connection, reader)}
        figures += _figures(f"GET {CAMPAIGNS} over {size}", await durations(acts, plan))
    return figures


def _figures(name: str, taken: Mapping[str, Sequence[float]]) -> list[Figure]:
    slowest = quantiles(taken["http"], n=20)[-1]
    return [
        Figure(f"{name}, p50, beside its SQL", median(taken["http"]), "ms", median(taken["sql"]), at_most=MOST_OF_SQL),
        Figure(f"{name}, p95", slowest, "ms", at_most=MOST_MILLISECONDS),
    ]


def _asking(wire: Wire, path: str, reader: Reader) -> Act:
    asked = request("GET", path, reader.api_key)
    return lambda: wire.ask(asked)


def _running(connection: AsyncConnection[Any], reader: Reader, statements: Sequence[Statement]) -> Act:
    async def run() -> None:
        await connection.execute(_ENTER, [str(reader.workspace_id)])
        for statement in statements:
            cursor = await connection.execute(statement.text, statement.parameters)
            await cursor.fetchall()
        await connection.commit()

    return run


def _copying(connection: AsyncConnection[Any], reader: Reader) -> Act:
    async def run() -> None:
        await connection.execute(_ENTER, [str(reader.workspace_id)])
        async with connection.cursor() as cursor, cursor.copy(_COPY, [reader.workspace_id]) as copy:
            async for _ in copy:
                pass
        await connection.commit()

    return run
