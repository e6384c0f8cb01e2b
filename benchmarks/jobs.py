"""`salesmatter bench jobs`: what the job engine costs beside a bare loop, and whether turns, rates and times are kept.

Two queues: a few jobs wait for the future in one, very many in the other, put in first. What is due beside them is
claimed in turn, then worked off in turn by a worker of each and by a bare loop. The other figures are of the first
queue: jobs due one by one, a workspace that floods the others with and without a rate of its own, workers that share
rates, and writers that put single jobs on the queue.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from statistics import median, quantiles
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.jobs import repository
from benchmarks.bare_driver import bare_connection
from benchmarks.bare_driver import running as driving
from benchmarks.bare_queue import INSERT, work_off
from benchmarks.errors import BenchFailed
from benchmarks.figures import Figure
from benchmarks.job_queue import Queue, fresh_queue, now, workers
from benchmarks.job_worker import CONCURRENCY, NOOP, TIMED
from benchmarks.recording import Statement
from benchmarks.registry import Say, Size
from benchmarks.rounds import Act, Plan, medians, rates
from database.engine import create_pool
from database.jobs import Job, enqueue, register_worker, retire_worker
from database.roles import APP_ROLE, ENGINE_ROLE, libpq_url, role_url
from database.tenancy import Scope, transaction
from salesmatter.stack import Database, open_database

BARE = "bench_bare"
"""A job type that no worker does: the bare loop's."""
FUTURE, WORKSPACES = timedelta(days=30), 1_000
"""When the jobs of the future are due, and how many workspaces they belong to."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much is measured: numbers of jobs, and seconds."""

    few: int
    many: int
    claims: Plan
    turns: int
    noops: int
    trickle: int
    trickle_seconds: float
    flood: int
    others: int
    shared_seconds: float
    enqueue_seconds: float


LOADS: dict[Size, Load] = {
    "small": Load(10_000, 100_000, Plan(4, 15, 10.0), 3, 5_000, 100, 5.0, 10_000, 200, 5.0, 0.7),
    "full": Load(10_000, 1_000_000, Plan(10, 30, 60.0), 5, 40_000, 300, 15.0, 100_000, 200, 10.0, 3.0),
}
JOBS_OF_OTHERS = 10
FLOOD_INTERVAL, FLOOD_BURST = timedelta(milliseconds=50), 20
SHARING_WORKERS, SHARING_WORKSPACES = 4, 20
SHARED_INTERVAL, SHARED_BURST = timedelta(milliseconds=100), 5
WRITERS = 16

LEAST_OF_LOOP, MOST_OF_CLAIM, LEAST_OF_INSERTS = 0.75, 1.2, 0.8
MOST_OF_P50_MS, MOST_OF_P99_MS, MOST_OF_OTHERS_SECONDS = 20, 50, 2


def run(size: Size, say: Say) -> list[Figure]:
    """Measure on databases that are made for it; raises StartError."""
    with open_database() as server:
        return measure(server, LOADS[size], say)


def measure(server: Database, load: Load, say: Say) -> list[Figure]:
    """Measure so much; raises StartError."""
    with fresh_queue(server) as few, fresh_queue(server) as many:
        for queue, jobs in ((few, load.few), (many, load.many)):
            say(f"Putting {jobs:,} jobs of the future on a queue.")
            workspaces = queue.add_workspaces(WORKSPACES)
            queue.put(workspaces, NOOP, jobs // WORKSPACES, now() + FUTURE, timedelta(seconds=1))
        return [
            *_claims(few, many, load, say),
            *_rates(few, many, load, say),
            *_trickle(few, load, say),
            *_flood(few, load, say),
            *_shared(few, load, say),
            *_enqueue(few, load, say),
        ]


def _claims(few: Queue, many: Queue, load: Load, say: Say) -> Iterator[Figure]:
    """Yield what a full claim takes beside many jobs of the future, and beside few."""
    plan = load.claims
    jobs = CONCURRENCY * (plan.each + 1) * (plan.rounds + 1)
    say(f"Claiming up to {jobs:,} due jobs of each queue, {CONCURRENCY} at once.")
    for queue in (few, many):
        queue.put(queue.add_workspaces(1), NOOP, jobs, now())
        queue.settle()
    taken = asyncio.run(_claim_in_turn({"few": few, "many": many}, plan))
    for queue in (few, many):
        queue.clear(NOOP, now())
    yield Figure(
        f"a claim of {CONCURRENCY} beside {load.many:,} future jobs, beside {load.few:,}",
        taken["many"],
        "ms",
        taken["few"],
        at_most=MOST_OF_CLAIM,
    )


async def _claim_in_turn(queues: dict[str, Queue], plan: Plan) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        acts = {}
        for name, queue in queues.items():
            pool = create_pool(role_url(queue.database.owner, ENGINE_ROLE), size=1)
            stack.push_async_callback(pool.dispose)
            async with AsyncSession(pool) as session, session.begin():
                worker = await register_worker(session, "bench")
            acts[name] = _claiming(pool, worker)
            stack.push_async_callback(_retire, pool, worker)
        return await medians(acts, plan)


def _claiming(pool: AsyncEngine, worker: UUID) -> Act:
    async def take() -> None:
        async with AsyncSession(pool) as session, session.begin():
            claim = await repository.claim_freely(session, repository.Wanted(NOOP, worker, now(), CONCURRENCY))
        if len(claim.jobs) != CONCURRENCY:
            raise BenchFailed(f"A claim took {len(claim.jobs)} due jobs of {CONCURRENCY}.")

    return take


async def _retire(pool: AsyncEngine, worker: UUID) -> None:
    async with AsyncSession(pool) as session, session.begin():
        await retire_worker(session, worker, now())


def _rates(few: Queue, many: Queue, load: Load, say: Say) -> Iterator[Figure]:
    """Yield how many jobs a second one worker does, beside a bare loop, and beside many jobs of the future."""
    say(f"Working off {load.noops:,} jobs that do nothing, {load.turns} times, by a bare loop and by a worker.")
    bare: list[float] = []
    own: list[float] = []
    beside_many: list[float] = []
    with workers(few, 1) as of_few, workers(many, 1) as of_many:
        for _ in range(load.turns):
            few.put(few.add_workspaces(1), BARE, load.noops, now())
            bare.append(load.noops / work_off(few.database.owner, BARE, load.noops))
            for queue, processes, found in ((few, of_few, own), (many, of_many, beside_many)):
                workspaces = queue.add_workspaces(1)
                queue.put(workspaces, NOOP, load.noops, now())
                first, last = queue.wait_for(workspaces, load.noops, processes)
                found.append(load.noops / (last - first).total_seconds())
    rate = median(own)
    yield Figure("jobs by one worker, beside a bare loop", rate, "/s", median(bare), at_least=LEAST_OF_LOOP)
    yield Figure(
        f"jobs by one worker beside {load.many:,} future jobs, beside {load.few:,}", median(beside_many), "/s", rate
    )


def _trickle(queue: Queue, load: Load, say: Say) -> Iterator[Figure]:
    """Yield how long after it was due a job starts that comes by itself."""
    say(f"{load.trickle} jobs come one by one within {load.trickle_seconds:g} s.")
    told: list[float] = []
    with workers(queue, 1, lambda _name, line: told.append(float(line) * 1000)) as processes:
        workspaces = queue.add_workspaces(1)
        apart = timedelta(seconds=load.trickle_seconds) / load.trickle
        queue.put(workspaces, TIMED, load.trickle, now() + timedelta(seconds=1), apart)
        queue.wait_for(workspaces, load.trickle, processes)
    if len(told) != load.trickle:
        raise BenchFailed(f"{len(told)} jobs of {load.trickle} told when they started.")
    percents = quantiles(told, n=100, method="inclusive")
    yield Figure("from due to started, p50", percents[49], "ms", at_most=MOST_OF_P50_MS)
    yield Figure("from due to started, p99", percents[98], "ms", at_most=MOST_OF_P99_MS)


def _flood(queue: Queue, load: Load, say: Say) -> Iterator[Figure]:
    """Yield how soon the jobs of others are done that come due together with very many of one workspace."""
    for limited in (True, False):
        kind = "with a rate" if limited else "without one"
        say(f"{load.flood:,} jobs of a workspace {kind}, beside {JOBS_OF_OTHERS} of {load.others} others each.")
        with workers(queue, 1) as processes:
            (flooder,), others = queue.add_workspaces(1), queue.add_workspaces(load.others)
            if limited:
                queue.limit([flooder], NOOP, FLOOD_INTERVAL, FLOOD_BURST)
            with queue.connection.transaction():
                queue.put([flooder], NOOP, load.flood, now())
                queue.put(others, NOOP, JOBS_OF_OTHERS, now())
                due = now()
            _, last = queue.wait_for(others, JOBS_OF_OTHERS * load.others, processes)
        queue.clear(NOOP, now())
        yield Figure(
            f"jobs of {load.others} others done beside {load.flood:,} of a workspace {kind}",
            (last - due).total_seconds(),
            "s",
            at_most=MOST_OF_OTHERS_SECONDS,
        )


def _shared(queue: Queue, load: Load, say: Say) -> Iterator[Figure]:
    """Yield how many jobs workspaces start whose rates several workers share, beside the number permitted."""
    say(f"{SHARING_WORKERS} workers share the rates of {SHARING_WORKSPACES} workspaces for {load.shared_seconds:g} s.")
    period = timedelta(seconds=load.shared_seconds)
    permitted = SHARED_BURST + period // SHARED_INTERVAL
    # Up to the next slot: the last one counts, though it starts some milliseconds late.
    until = period + SHARED_INTERVAL * 0.9
    with workers(queue, SHARING_WORKERS) as processes:
        workspaces = queue.add_workspaces(SHARING_WORKSPACES)
        queue.limit(workspaces, NOOP, SHARED_INTERVAL, SHARED_BURST)
        queue.put(workspaces, NOOP, 2 * permitted, now())
        time.sleep(load.shared_seconds + 1)
        processes.check()
        started = queue.starts_within(workspaces, until)
    queue.clear(NOOP, now())
    about = f"of {SHARING_WORKSPACES} workspaces at {SHARING_WORKERS} workers, beside the permitted"
    yield Figure(f"most starts {about}", max(started), "jobs", permitted, at_most=1)
    yield Figure(f"fewest starts {about}", min(started), "jobs", permitted, at_least=1)


def _enqueue(queue: Queue, load: Load, say: Say) -> Iterator[Figure]:
    """Yield how many single jobs a second writers put on the queue, beside bare INSERTs."""
    say(f"{WRITERS} writers put single jobs on the queue, {load.turns} times.")
    (workspace,) = queue.add_workspaces(1)
    found = asyncio.run(_enqueue_in_turn(queue, workspace, load))
    name, rate = f"enqueued by {WRITERS} writers", found["enqueue"]
    yield Figure(f"{name}, beside a bare INSERT in its place", rate, "/s", found["insert"], at_least=LEAST_OF_INSERTS)
    yield Figure(f"{name}, beside the driver alone", rate, "/s", found["driver"])


async def _enqueue_in_turn(queue: Queue, workspace: UUID, load: Load) -> dict[str, float]:
    app, due = role_url(queue.database.owner, APP_ROLE), now() + FUTURE
    row = {"workspace": workspace, "job_type": NOOP, "due": due}
    async with AsyncExitStack() as stack:
        pool = create_pool(app, size=WRITERS)
        stack.push_async_callback(pool.dispose)

        async def put() -> None:
            async with transaction(pool, Scope(workspace_id=workspace)) as session:
                await enqueue(session, NOOP, workspace, [Job(due)])

        async def insert() -> None:
            async with transaction(pool, Scope(workspace_id=workspace)) as session:
                (await (await session.connection()).exec_driver_sql(INSERT, row)).all()

        driver = [
            driving(
                await stack.enter_async_context(bare_connection(libpq_url(app), workspace)),
                Statement(INSERT.encode(), row),
            )
            for _ in range(WRITERS)
        ]
        crowds: dict[str, Sequence[Act]] = {"enqueue": [put] * WRITERS, "insert": [insert] * WRITERS, "driver": driver}
        return await rates(crowds, turns=load.turns, seconds=load.enqueue_seconds)
