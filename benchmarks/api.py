"""`salesmatter bench api`: what a request costs, beside what its statement and its answer cost by themselves.

A list of leads is asked for over HTTP from the service as `salesmatter api` runs it, with a real API key and a
kept-alive connection. In turn with it run its two baselines: the statement that the service sends for this very
request, through the bare driver on a held connection in the same role and workspace; and `benchmarks/bare_route.py`.
Both HTTP figures are taken by the same minimal client (`benchmarks/wire.py`).
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
from benchmarks.bare_driver import bare_connection, running
from benchmarks.bare_route import Order
from benchmarks.databases import fresh_database
from benchmarks.errors import BenchFailed
from benchmarks.figures import Figure
from benchmarks.recording import Statement, statements_of
from benchmarks.registry import Say, Size
from benchmarks.rounds import Plan, medians, rates
from benchmarks.servers import Server, serving
from benchmarks.wire import Wire, request, wires
from database.roles import APP_ROLE, libpq_url, role_url
from salesmatter import accounts
from salesmatter.stack import Database, open_database

PAGE, LONGEST_PAGE = 50, 500
PAGES = (PAGE, LONGEST_PAGE)
CLIENTS = 8
DEEP = 0.9
"""How far down the list a deep page begins."""
ORDERS = {NEWEST_FIRST: ["id"], "-updatedAt": ["updated_at", "id"]}
"""The orders in which deep pages are asked for, each with its columns, all descending."""
FOUND_OFTEN, FOUND_NEVER = "sales", "no such lead"
MOST_OF_SQL, MOST_OF_ROUTE, MOST_OF_FIRST_PAGE = 3.0, 1.6, 1.3


@dataclass(frozen=True, slots=True)
class Volume:
    """How many leads there are, and how often and how long each thing is measured; `slow` is for the slower ones."""

    leads: int
    quick: Plan
    slow: Plan
    turns: int
    turn_seconds: float


VOLUMES: dict[Size, Volume] = {
    "small": Volume(100_000, Plan(30, 10, 3.0), Plan(8, 4, 2.0), turns=2, turn_seconds=1.0),
    "full": Volume(1_000_000, Plan(100, 10, 30.0), Plan(20, 5, 20.0), turns=5, turn_seconds=2.0),
}


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace of leads, and who may read them."""

    database: Database
    id: UUID
    api_key: str

    @property
    def path(self) -> str:
        """The path of its leads."""
        return f"/api/workspaces/{self.id}/leads"

    def get(self, **query: str | int) -> bytes:
        """Return the request for a page of leads."""
        return request("GET", self.page(**query), self.api_key)

    def page(self, **query: str | int) -> str:
        """Return the address of a page of leads."""
        return f"{self.path}?{urlencode(query)}" if query else self.path

    def cursor(self, sort: str, last: Sequence[object]) -> str:
        """Return the cursor of what follows a lead in an order, as the service would have made it."""
        cursors = Cursors(self.database.environment()["SALESMATTER_SECRET_KEY"])
        return PageRequest(PAGE, sort, None, f"{self.path} {sort}", cursors).cursor_after(*last)


def run(size: Size, say: Say) -> list[Figure]:
    """Measure on a database that is made for it; raises StartError."""
    with open_database() as server, fresh_database(server) as database:
        return measure(database, VOLUMES[size], say)


def measure(database: Database, volume: Volume, say: Say) -> list[Figure]:
    """Measure on an empty, migrated database; raises StartError."""
    say(f"Writing {volume.leads:,} leads to {database.owner.database}.")
    account = asyncio.run(accounts.create(database, name="Bench", email="ann@bench.example", user_name="Ann"))
    workspace_id = leads.fill(database, account.account_id, volume.leads, say)
    workspace = Workspace(database, workspace_id, account.api_key)
    say("Starting the service and the bare route.")
    recorded = asyncio.run(statements_of(database, account.api_key, [workspace.page(limit=limit) for limit in PAGES]))
    lists = {limit: _list_of_leads(sent) for limit, sent in zip(PAGES, recorded, strict=True)}
    order = Order(libpq_url(role_url(database.owner, APP_ROLE)), workspace.id, lists)
    unlimited = {**database.environment(), "SALESMATTER_RATE_LIMIT": "off"}
    with serving(
        Server("api", ["salesmatter", "api"], "/health/ready", unlimited),
        Server("bare-route", ["benchmarks.bare_route"], "/ready", order.environment()),
    ) as (api_port, route_port):
        figures = asyncio.run(_measured(workspace, order, volume, api_port, route_port, say))
    return [*figures, Figure("statements of a list request, its transaction's ends apart", len(recorded[0]), "")]


def _list_of_leads(sent: Sequence[Statement]) -> Statement:
    lists = [statement for statement in sent if b"FROM app.leads" in statement.text]
    if len(lists) != 1:
        raise BenchFailed(f"A list of leads is to be one statement on app.leads; {len(lists)} of {len(sent)} are.")
    return lists[0]


async def _measured(
    workspace: Workspace, order: Order, volume: Volume, api_port: int, route_port: int, say: Say
) -> list[Figure]:
    figures = []
    for limit, plan in ((PAGE, volume.quick), (LONGEST_PAGE, volume.slow)):
        say(f"Measuring pages of {limit}.")
        figures += await _beside_baselines(workspace, order, limit, plan, api_port, route_port)
    say("Measuring deep pages.")
    for sort in ORDERS:
        figures.append(await _deep_page(workspace, sort, volume, api_port))
    say(f"Measuring {CLIENTS} clients at once.")
    figures.append(await _crowd(workspace, volume, api_port, route_port))
    say("Measuring free text and new leads.")
    figures += await _free_text(workspace, volume, api_port)
    return [*figures, await _creation(workspace, volume, api_port)]


async def _beside_baselines(
    workspace: Workspace, order: Order, limit: int, plan: Plan, api_port: int, route_port: int
) -> list[Figure]:
    """Return the figures of a page size; targets are for the page that is asked for by default."""
    async with (
        wires(api_port) as (api,),
        wires(route_port) as (route,),
        bare_connection(order.url, workspace.id) as connection,
    ):
        http, bare = _asking(api, workspace.get(limit=limit)), _asking(route, _route_page(limit))
        ours, theirs = json.loads(await http()), json.loads(await bare())
        if ours["items"] != theirs["items"] or len(ours["items"]) != limit:
            raise BenchFailed(f"The service and the bare route answer different pages of {limit}.")
        found = await medians({"http": http, "sql": running(connection, order.statements[limit]), "route": bare}, plan)
    of_sql, of_route = (MOST_OF_SQL, MOST_OF_ROUTE) if limit == PAGE else (None, None)
    name = f"list {limit} leads, p50, beside"
    return [
        Figure(f"{name} its SQL through the bare driver", found["http"], "ms", found["sql"], at_most=of_sql),
        Figure(f"{name} a bare FastAPI route", found["http"], "ms", found["route"], at_most=of_route),
    ]


def _asking(wire: Wire, asked: bytes) -> Callable[[], Awaitable[bytes]]:
    return lambda: wire.ask(asked)


def _route_page(limit: int) -> bytes:
    return request("GET", f"/leads?limit={limit}", "none")


async def _deep_page(workspace: Workspace, sort: str, volume: Volume, port: int) -> Figure:
    """Return what a page far down the list costs beside the first, in one order."""
    place = leads.place_in(workspace.database, workspace.id, ORDERS[sort], int(volume.leads * DEEP))
    query = {} if sort == NEWEST_FIRST else {"sort": sort}
    async with wires(port) as (wire,):
        deep = _asking(wire, workspace.get(**query, cursor=workspace.cursor(sort, place.last)))
        if json.loads(await deep())["items"][0]["id"] != str(place.next_id):
            raise BenchFailed(f"A page of leads by {sort} does not go on where its cursor says.")
        found = await medians({"first": _asking(wire, workspace.get(**query)), "deep": deep}, volume.quick)
    name = f"list {PAGE} leads by {sort}, {DEEP:.0%} down, p50, beside the first page"
    return Figure(name, found["deep"], "ms", found["first"], at_most=MOST_OF_FIRST_PAGE)


async def _crowd(workspace: Workspace, volume: Volume, api_port: int, route_port: int) -> Figure:
    """Return how many lists a second are answered to some clients at once."""
    async with wires(api_port, CLIENTS) as api, wires(route_port, CLIENTS) as route:
        crowds = {
            "http": [_asking(wire, workspace.get()) for wire in api],
            "route": [_asking(wire, _route_page(PAGE)) for wire in route],
        }
        found = await rates(crowds, turns=volume.turns, seconds=volume.turn_seconds)
    return Figure(f"list {PAGE} leads, {CLIENTS} clients, beside a bare route", found["http"], "/s", found["route"])


async def _free_text(workspace: Workspace, volume: Volume, port: int) -> list[Figure]:
    """Return what a search costs: one that finds much, which ends early, and one that finds nothing."""
    figures = []
    for text, what in ((FOUND_OFTEN, "with many hits"), (FOUND_NEVER, "without a hit")):
        async with wires(port) as (wire,):
            found = await medians({text: _asking(wire, workspace.get(q=text))}, volume.slow)
        figures.append(Figure(f"list {PAGE} leads by free text {what}, p50", found[text], "ms"))
    return figures


async def _creation(workspace: Workspace, volume: Volume, port: int) -> Figure:
    """Return what a new lead costs."""
    numbers = itertools.count()
    async with wires(port) as (wire,):

        async def create() -> None:
            body = {"email": f"new.{next(numbers)}@bench.example", "firstName": "Thandi", "company": "Protea Foods"}
            await wire.ask(request("POST", workspace.path, workspace.api_key, body))

        found = await medians({"create": create}, volume.quick)
    return Figure("create a lead, p50", found["create"], "ms")
