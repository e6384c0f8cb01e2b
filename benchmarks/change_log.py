"""What the change log costs who writes: the same transactions with its triggers and without, and with pings besides.

Meanwhile the API follows the log for a subscriber of another workspace, so that pings are also answered by looks.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from statistics import median
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.bare_driver import bare_connection
from benchmarks.figures import Figure
from benchmarks.live_marks import MARKED
from benchmarks.live_stage import Stage
from benchmarks.registry import Say
from benchmarks.rounds import Act, rates
from database.engine import create_pool
from database.pings import pinging
from database.roles import APP_ROLE, connect, libpq_url, role_url
from database.tenancy import Scope, transaction

WRITERS = 16
LEAST_OF_UNLOGGED = 0.9
SERVICE, PINGING, DRIVER = "as the service does", "as the service does, with pings", "by the driver alone"

_WRITE = f"UPDATE app.leads SET company = 'Protea Foods' WHERE workspace_id = %s AND role = '{MARKED}'"  # noqa: S608 - ours
_POOLED = text(_WRITE.replace("%s", ":workspace"))
_TRIGGERS = """
SELECT tgname FROM pg_trigger AS one JOIN pg_proc AS function ON function.oid = tgfoid
 WHERE tgrelid = 'app.leads'::regclass AND proname = 'log_change'
"""
_SETTLE = ("TRUNCATE app.changes", "VACUUM (ANALYZE) app.leads, app.changes")


def measure(stage: Stage, turns: int, seconds: float, say: Say) -> Iterator[Figure]:
    """Yield how many single leads a second are written, each in a transaction, by writers of a workspace each."""
    say(f"{WRITERS} writers, with the change log and without it, {turns} times.")
    written, (watched,) = stage.queries(workspaces=WRITERS), stage.queries()
    with stage.subscribed([watched.path()]):
        logged, unlogged = asyncio.run(_in_turn(stage, [one.workspace for one in written], turns, seconds))
    for name, rate in logged.items():
        least = None if name == DRIVER else LEAST_OF_UNLOGGED
        base = unlogged[SERVICE if name == PINGING else name]
        yield Figure(f"written by {WRITERS} {name}, beside no change log", rate, "/s", base, at_least=least)


async def _in_turn(
    stage: Stage, workspaces: Sequence[UUID], turns: int, seconds: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Return how often a second each crowd writes, with the log and without it; the medians of so many turns."""
    logged: dict[str, list[float]] = {SERVICE: [], PINGING: [], DRIVER: []}
    unlogged: dict[str, list[float]] = {SERVICE: [], DRIVER: []}
    async with AsyncExitStack() as stack:
        crowds = await _crowds(stage, workspaces, stack)
        switch = stack.enter_context(connect(stage.database.direct))
        for turn in range(turns):
            # Who begins changes from turn to turn.
            for found in (logged, unlogged) if turn % 2 else (unlogged, logged):
                _switch(switch, is_on=found is logged)
                chosen = {name: crowds[name] for name in found}
                # Connections that have slept are asked whether they live.
                await asyncio.gather(*(act() for crowd in chosen.values() for act in crowd))
                for name, rate in (await rates(chosen, turns=1, seconds=seconds)).items():
                    found[name].append(rate)
    return _medians(logged), _medians(unlogged)


def _medians(found: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: median(rates_found) for name, rates_found in found.items()}


def _switch(connection: psycopg.Connection, *, is_on: bool) -> None:
    """Have changes of leads logged or not, and begin with an empty log."""
    verb = sql.SQL("ENABLE" if is_on else "DISABLE")
    for (name,) in connection.execute(_TRIGGERS).fetchall():
        connection.execute(sql.SQL("ALTER TABLE app.leads {} TRIGGER {}").format(verb, sql.Identifier(name)))
    for statement in _SETTLE:
        connection.execute(statement)


async def _crowds(stage: Stage, workspaces: Sequence[UUID], stack: AsyncExitStack) -> dict[str, list[Act]]:
    """Return who writes: by the service's pools, by such that ping, and by the driver on connections that it holds."""
    app = role_url(stage.database.owner, APP_ROLE)
    silent, heard = (create_pool(app, size=WRITERS) for _ in range(2))
    for engine in (silent, heard):
        stack.push_async_callback(engine.dispose)
    (await stack.enter_async_context(pinging(app, "salesmatter-bench"))).watch(heard)
    return {
        SERVICE: [_pooled(silent, one) for one in workspaces],
        PINGING: [_pooled(heard, one) for one in workspaces],
        DRIVER: [await _driving(stack, app, one) for one in workspaces],
    }


def _pooled(pool: AsyncEngine, workspace: UUID) -> Act:
    async def write() -> None:
        async with transaction(pool, Scope(workspace_id=workspace)) as session:
            await session.execute(_POOLED, {"workspace": workspace})

    return write


async def _driving(stack: AsyncExitStack, app: URL, workspace: UUID) -> Act:
    connection = await stack.enter_async_context(bare_connection(libpq_url(app), workspace))

    async def write() -> None:
        await connection.execute(_WRITE, [workspace])

    return write
