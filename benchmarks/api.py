"""`salesmatter bench api`: measures list requests over HTTP beside their SQL and beside a minimal FastAPI route.

It requests lists of leads from `salesmatter api` with an API key on a kept-alive connection. Two baselines alternate
with it: the SQL of the same request through psycopg, on an open connection with the same role and workspace; and
`benchmarks/bare_route.py`. The same minimal client (`benchmarks/raw_http.py`) measures both HTTP figures.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from api.http.pagination import NEWEST_FIRST, Cursors, PageRequest
from benchmarks import leads
from benchmarks.bare_driver import connect_in_workspace, make_query
from benchmarks.bare_route import RouteConfig
from benchmarks.databases import fresh_database
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.progress import Progress
from benchmarks.raw_http import RawConnection, build_request, open_connections
from benchmarks.recording import Statement, record_statements
from benchmarks.rounds import Plan, measure_medians, measure_rates
from benchmarks.servers import Server, run_servers
from benchmarks.sizes import Size
from database.roles import APP_ROLE, libpq_url, role_url
from salesmatter import accounts
from salesmatter.stack import Database, open_database

PAGE, LONGEST_PAGE = 50, 500
PAGES = (PAGE, LONGEST_PAGE)
CLIENTS = 8
DEEP_PAGE_START = 0.9
"""The position in the list at which a deep page begins."""
ORDERS = {NEWEST_FIRST: ["id"], "-updatedAt": ["updated_at", "id"]}
"""The sort orders of deep pages, with their columns, all descending."""
FREQUENT_TEXT, ABSENT_TEXT = "sales", "no such lead"
MAX_RATIO_TO_SQL, MAX_RATIO_TO_ROUTE, MAX_RATIO_TO_FIRST_PAGE = 3.0, 1.6, 1.3


@dataclass(frozen=True, slots=True)
class Volume:
    """The number of leads, and how often and how long each request is measured; `slow` is for slow requests."""

    leads: int
    quick: Plan
    slow: Plan
    repetitions: int
    seconds: float


VOLUMES: dict[Size, Volume] = {
    "small": Volume(100_000, Plan(30, 10, 3.0), Plan(8, 4, 2.0), repetitions=2, seconds=1.0),
    "full": Volume(1_000_000, Plan(100, 10, 30.0), Plan(20, 5, 20.0), repetitions=5, seconds=2.0),
}


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace of leads, and an API key."""

    database: Database
    id: UUID
    api_key: str

    @property
    def path(self) -> str:
        """The path of the list of leads."""
        return f"/api/workspaces/{self.id}/leads"

    def build_list_request(self, **query: str | int) -> bytes:
        """Return the request for a page of leads."""
        return build_request("GET", self.build_list_path(**query), self.api_key)

    def build_list_path(self, **query: str | int) -> str:
        """Return the path of a page of leads."""
        return f"{self.path}?{urlencode(query)}" if query else self.path

    def build_cursor(self, sort: str, last: Sequence[object]) -> str:
        """Return the service's cursor of the page after a lead in a sort order."""
        cursors = Cursors(self.database.to_environment()["SALESMATTER_SECRET_KEY"])
        return PageRequest(PAGE, sort, None, f"{self.path} {sort}", cursors).cursor_after(*last)


def run(size: Size, progress: Progress) -> list[Figure]:
    """Measure on a temporary database; raises StartError."""
    with open_database() as server, fresh_database(server) as database:
        return measure(database, VOLUMES[size], progress)


def measure(database: Database, volume: Volume, progress: Progress) -> list[Figure]:
    """Measure on an empty migrated database; raises StartError."""
    progress(f"Writing {volume.leads:,} leads to {database.owner.database}.")
    account = asyncio.run(accounts.create_account(database, name="Bench", email="ann@bench.example", user_name="Ann"))
    workspace_id = leads.create_leads(database, account.account_id, volume.leads, progress)
    workspace = Workspace(database, workspace_id, account.api_key)
    progress("Starting the service and the minimal route.")
    recorded_statements = asyncio.run(
        record_statements(database, account.api_key, [workspace.build_list_path(limit=limit) for limit in PAGES])
    )
    statements = {limit: _select_list_statement(sent) for limit, sent in zip(PAGES, recorded_statements, strict=True)}
    config = RouteConfig(libpq_url(role_url(database.owner, APP_ROLE)), workspace.id, statements)
    unlimited = {**database.to_environment(), "SALESMATTER_RATE_LIMIT": "off"}
    with run_servers(
        Server("api", ["salesmatter", "api"], "/health/ready", unlimited),
        Server("bare-route", ["benchmarks.bare_route"], "/ready", config.to_environment()),
    ) as (api_port, route_port):
        figures = asyncio.run(_measure(workspace, config, volume, api_port, route_port, progress))
    return [*figures, Figure("statements of a list request, without BEGIN and COMMIT", len(recorded_statements[0]), "")]


def _select_list_statement(recorded: Sequence[Statement]) -> Statement:
    list_statements = [statement for statement in recorded if b"FROM app.leads" in statement.text]
    if len(list_statements) != 1:
        raise BenchmarkError(
            f"A list of leads must be one statement on app.leads, not {len(list_statements)} of {len(recorded)}."
        )
    return list_statements[0]


async def _measure(
    workspace: Workspace, config: RouteConfig, volume: Volume, api_port: int, route_port: int, progress: Progress
) -> list[Figure]:
    figures = []
    for limit, plan in ((PAGE, volume.quick), (LONGEST_PAGE, volume.slow)):
        progress(f"Measuring pages of {limit}.")
        figures += await _compare_with_baselines(workspace, config, limit, plan, api_port, route_port)
    progress("Measuring deep pages.")
    for sort in ORDERS:
        figures.append(await _measure_deep_page(workspace, sort, volume, api_port))
    progress(f"Measuring {CLIENTS} clients at once.")
    figures.append(await _measure_concurrent_lists(workspace, volume, api_port, route_port))
    progress("Measuring free text and new leads.")
    figures += await _measure_free_text(workspace, volume, api_port)
    return [*figures, await _measure_creation(workspace, volume, api_port)]


async def _compare_with_baselines(
    workspace: Workspace, config: RouteConfig, limit: int, plan: Plan, api_port: int, route_port: int
) -> list[Figure]:
    """Return the figures of a page size; only the default page size has targets."""
    async with (
        open_connections(api_port) as (api,),
        open_connections(route_port) as (route,),
        connect_in_workspace(config.url, workspace.id) as connection,
    ):
        http, bare = (
            _make_request(api, workspace.build_list_request(limit=limit)),
            _make_request(route, _build_route_request(limit)),
        )
        page, baseline_page = json.loads(await http()), json.loads(await bare())
        if page["items"] != baseline_page["items"] or len(page["items"]) != limit:
            raise BenchmarkError(f"The service and the minimal route returned different pages of {limit}.")
        medians = await measure_medians(
            {"http": http, "sql": make_query(connection, config.statements[limit]), "route": bare}, plan
        )
    of_sql, of_route = (MAX_RATIO_TO_SQL, MAX_RATIO_TO_ROUTE) if limit == PAGE else (None, None)
    name = f"list {limit} leads, p50, beside"
    return [
        Figure(f"{name} its SQL through the bare driver", medians["http"], "ms", medians["sql"], at_most=of_sql),
        Figure(f"{name} a bare FastAPI route", medians["http"], "ms", medians["route"], at_most=of_route),
    ]


def _make_request(connection: RawConnection, request: bytes) -> Callable[[], Awaitable[bytes]]:
    return lambda: connection.send(request)


def _build_route_request(limit: int) -> bytes:
    return build_request("GET", f"/leads?limit={limit}", "none")


async def _measure_deep_page(workspace: Workspace, sort: str, volume: Volume, port: int) -> Figure:
    """Compare a page far down the list with the first page, in one sort order."""
    position = leads.find_position(workspace.database, workspace.id, ORDERS[sort], int(volume.leads * DEEP_PAGE_START))
    query = {} if sort == NEWEST_FIRST else {"sort": sort}
    async with open_connections(port) as (connection,):
        deep = _make_request(
            connection, workspace.build_list_request(**query, cursor=workspace.build_cursor(sort, position.last))
        )
        if json.loads(await deep())["items"][0]["id"] != str(position.next_id):
            raise BenchmarkError(f"A page of leads by {sort} does not begin at its cursor.")
        medians = await measure_medians(
            {"first": _make_request(connection, workspace.build_list_request(**query)), "deep": deep}, volume.quick
        )
    name = f"list {PAGE} leads by {sort}, {DEEP_PAGE_START:.0%} down, p50, beside the first page"
    return Figure(name, medians["deep"], "ms", medians["first"], at_most=MAX_RATIO_TO_FIRST_PAGE)


async def _measure_concurrent_lists(workspace: Workspace, volume: Volume, api_port: int, route_port: int) -> Figure:
    """Measure how many lists per second several concurrent clients get."""
    async with open_connections(api_port, CLIENTS) as api, open_connections(route_port, CLIENTS) as route:
        clients = {
            "http": [_make_request(connection, workspace.build_list_request()) for connection in api],
            "route": [_make_request(connection, _build_route_request(PAGE)) for connection in route],
        }
        rates = await measure_rates(clients, repetitions=volume.repetitions, seconds=volume.seconds)
    return Figure(f"list {PAGE} leads, {CLIENTS} clients, beside a bare route", rates["http"], "/s", rates["route"])


async def _measure_free_text(workspace: Workspace, volume: Volume, port: int) -> list[Figure]:
    """Measure a search with many hits, which ends early, and a search without hits."""
    figures = []
    for text, description in ((FREQUENT_TEXT, "with many hits"), (ABSENT_TEXT, "without a hit")):
        async with open_connections(port) as (connection,):
            medians = await measure_medians(
                {text: _make_request(connection, workspace.build_list_request(q=text))}, volume.slow
            )
        figures.append(Figure(f"list {PAGE} leads by free text {description}, p50", medians[text], "ms"))
    return figures


async def _measure_creation(workspace: Workspace, volume: Volume, port: int) -> Figure:
    """Measure the creation of a lead."""
    numbers = itertools.count()
    async with open_connections(port) as (connection,):

        async def create() -> None:
            body = {"email": f"new.{next(numbers)}@bench.example", "firstName": "Thandi", "company": "Protea Foods"}
            await connection.send(build_request("POST", workspace.path, workspace.api_key, body))

        medians = await measure_medians({"create": create}, volume.quick)
    return Figure("create a lead, p50", medians["create"], "ms")
