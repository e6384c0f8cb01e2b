"""Measures what the change log costs writers: the same transactions with its triggers, without them, and with NOTIFY.

Meanwhile the API follows the log for a subscriber of another workspace, so that each notification makes it read the
log.
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

from benchmarks.bare_driver import connect_in_workspace
from benchmarks.figures import Figure
from benchmarks.live_marks import MARKED_ROLE
from benchmarks.live_testbed import LiveTestbed
from benchmarks.progress import Progress
from benchmarks.rounds import Operation, measure_rates
from database.commit_notifier import run_commit_notifier
from database.engine import create_pool
from database.roles import APP_ROLE, connect, libpq_url, role_url
from database.tenancy import Scope, transaction

WRITERS = 16
MIN_RATIO_TO_UNLOGGED = 0.9
SERVICE_POOL, NOTIFYING_POOL, DRIVER_ONLY = (
    "as the service does",
    "as the service does, with notifications",
    "by the driver alone",
)

_WRITE = f"UPDATE app.leads SET company = 'Protea Foods' WHERE workspace_id = %s AND role = '{MARKED_ROLE}'"  # noqa: S608 - ours
_POOLED = text(_WRITE.replace("%s", ":workspace"))
_TRIGGERS = """
SELECT tgname FROM pg_trigger JOIN pg_proc AS function ON function.oid = tgfoid
 WHERE tgrelid = 'app.leads'::regclass AND proname = 'log_change'
"""
_RESET = ("TRUNCATE app.changes", "VACUUM (ANALYZE) app.leads, app.changes")


def measure(testbed: LiveTestbed, repetitions: int, seconds: float, progress: Progress) -> Iterator[Figure]:
    """Yield how many leads per second writers update, each writer in its own workspace, in single transactions."""
    progress(f"{WRITERS} writers, with the change log and without it, {repetitions} times.")
    queries, (watched,) = testbed.create_queries(workspaces=WRITERS), testbed.create_queries()
    with testbed.subscribe([watched.path()]):
        logged, unlogged = asyncio.run(
            _measure_alternately(testbed, [query.workspace for query in queries], repetitions, seconds)
        )
    for name, rate in logged.items():
        at_least = None if name == DRIVER_ONLY else MIN_RATIO_TO_UNLOGGED
        base = unlogged[SERVICE_POOL if name == NOTIFYING_POOL else name]
        yield Figure(f"written by {WRITERS} {name}, beside no change log", rate, "/s", base, at_least=at_least)


async def _measure_alternately(
    testbed: LiveTestbed, workspaces: Sequence[UUID], repetitions: int, seconds: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the median writes per second of each group of writers, with the log and without it."""
    logged: dict[str, list[float]] = {SERVICE_POOL: [], NOTIFYING_POOL: [], DRIVER_ONLY: []}
    unlogged: dict[str, list[float]] = {SERVICE_POOL: [], DRIVER_ONLY: []}
    async with AsyncExitStack() as stack:
        writers = await _make_writers(testbed, workspaces, stack)
        owner = stack.enter_context(connect(testbed.database.direct))
        for number in range(repetitions):
            # The order alternates.
            for rates in (logged, unlogged) if number % 2 else (unlogged, logged):
                _set_logging(owner, is_on=rates is logged)
                group = {name: writers[name] for name in rates}
                # The pool tests connections that were idle; that must not be measured.
                await asyncio.gather(*(operation() for operations in group.values() for operation in operations))
                for name, rate in (await measure_rates(group, repetitions=1, seconds=seconds)).items():
                    rates[name].append(rate)
    return _medians(logged), _medians(unlogged)


def _medians(rates: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: median(measured) for name, measured in rates.items()}


def _set_logging(connection: psycopg.Connection, *, is_on: bool) -> None:
    """Enable or disable the log triggers of `leads`, and empty the log."""
    verb = sql.SQL("ENABLE" if is_on else "DISABLE")
    for (name,) in connection.execute(_TRIGGERS).fetchall():
        connection.execute(sql.SQL("ALTER TABLE app.leads {} TRIGGER {}").format(verb, sql.Identifier(name)))
    for statement in _RESET:
        connection.execute(statement)


async def _make_writers(
    testbed: LiveTestbed, workspaces: Sequence[UUID], stack: AsyncExitStack
) -> dict[str, list[Operation]]:
    """Return the writers: with the service's pool, with a pool that notifies, and with open psycopg connections."""
    app = role_url(testbed.database.owner, APP_ROLE)
    silent, notifying = (create_pool(app, size=WRITERS) for _ in range(2))
    for engine in (silent, notifying):
        stack.push_async_callback(engine.dispose)
    (await stack.enter_async_context(run_commit_notifier(app, "salesmatter-bench"))).watch(notifying)
    return {
        SERVICE_POOL: [_make_pool_writer(silent, workspace) for workspace in workspaces],
        NOTIFYING_POOL: [_make_pool_writer(notifying, workspace) for workspace in workspaces],
        DRIVER_ONLY: [await _make_driver_writer(stack, app, workspace) for workspace in workspaces],
    }


def _make_pool_writer(pool: AsyncEngine, workspace: UUID) -> Operation:
    async def write() -> None:
        async with transaction(pool, Scope(workspace_id=workspace)) as session:
            await session.execute(_POOLED, {"workspace": workspace})

    return write


async def _make_driver_writer(stack: AsyncExitStack, app: URL, workspace: UUID) -> Operation:
    connection = await stack.enter_async_context(connect_in_workspace(libpq_url(app), workspace))

    async def write() -> None:
        await connection.execute(_WRITE, [workspace])

    return write
