"""`salesmatter bench jobs`: measures the job engine beside a simple loop, and its lateness, fairness and rate limits.

There are two queues: one with few jobs that are due in the future, one with very many. Claims of due jobs alternate
between the queues, then a worker of each queue and a simple loop alternate. The other figures are for the first queue:
jobs that become due one by one, a workspace with very many jobs with and without a rate limit, rate limits that several
workers share, and writers that enqueue single jobs.
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
from benchmarks.bare_driver import connect_in_workspace
from benchmarks.bare_driver import make_query as driving
from benchmarks.bare_queue import INSERT, process_jobs
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.job_queue import Queue, current_time, fresh_queue, run_workers
from benchmarks.job_worker import CONCURRENCY, NOOP_JOB, TIMED_JOB
from benchmarks.progress import Progress
from benchmarks.recording import Statement
from benchmarks.rounds import Operation, Plan, measure_medians, measure_rates
from benchmarks.sizes import Size
from database.engine import create_pool
from database.jobs import Job, enqueue, register_worker, retire_worker
from database.roles import APP_ROLE, ENGINE_ROLE, libpq_url, role_url
from database.tenancy import Scope, transaction
from salesmatter.stack import Database, open_database

BASELINE_JOB = "bench_bare"
"""A job type that no worker runs; the loop completes its jobs."""
FUTURE_DELAY, WORKSPACES = timedelta(days=30), 1_000
"""When the future jobs are due, and how many workspaces they belong to."""


@dataclass(frozen=True, slots=True)
class Load:
    """The numbers of jobs and seconds to measure."""

    few: int
    many: int
    claims: Plan
    repetitions: int
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

MIN_RATIO_TO_LOOP, MAX_RATIO_OF_CLAIMS, MIN_RATIO_TO_INSERTS = 0.75, 1.2, 0.8
MAX_P50_MS, MAX_P99_MS, MAX_SECONDS_OF_OTHERS = 20, 50, 2


def run(size: Size, progress: Progress) -> list[Figure]:
    """Measure on temporary databases; raises StartError."""
    with open_database() as server:
        return measure(server, LOADS[size], progress)


def measure(server: Database, load: Load, progress: Progress) -> list[Figure]:
    """Measure with a load; raises StartError."""
    with fresh_queue(server) as few, fresh_queue(server) as many:
        for queue, jobs in ((few, load.few), (many, load.many)):
            progress(f"Adding {jobs:,} future jobs to a queue.")
            workspaces = queue.add_workspaces(WORKSPACES)
            queue.add_jobs(
                workspaces, NOOP_JOB, jobs // WORKSPACES, current_time() + FUTURE_DELAY, timedelta(seconds=1)
            )
        return [
            *_measure_claims(few, many, load, progress),
            *_measure_rates(few, many, load, progress),
            *_measure_lateness(few, load, progress),
            *_measure_fairness(few, load, progress),
            *_measure_shared_limits(few, load, progress),
            *_measure_enqueue(few, load, progress),
        ]


def _measure_claims(few: Queue, many: Queue, load: Load, progress: Progress) -> Iterator[Figure]:
    """Yield the duration of a full claim in the queue with many future jobs beside that with few."""
    plan = load.claims
    jobs = CONCURRENCY * (plan.each + 1) * (plan.rounds + 1)
    progress(f"Claiming up to {jobs:,} due jobs of each queue, {CONCURRENCY} per claim.")
    for queue in (few, many):
        queue.add_jobs(queue.add_workspaces(1), NOOP_JOB, jobs, current_time())
        queue.vacuum()
    medians = asyncio.run(_claim_alternately({"few": few, "many": many}, plan))
    for queue in (few, many):
        queue.delete_jobs(NOOP_JOB, current_time())
    yield Figure(
        f"a claim of {CONCURRENCY} beside {load.many:,} future jobs, beside {load.few:,}",
        medians["many"],
        "ms",
        medians["few"],
        at_most=MAX_RATIO_OF_CLAIMS,
    )


async def _claim_alternately(queues: dict[str, Queue], plan: Plan) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        operations = {}
        for name, queue in queues.items():
            pool = create_pool(role_url(queue.database.owner, ENGINE_ROLE), size=1)
            stack.push_async_callback(pool.dispose)
            async with AsyncSession(pool) as session, session.begin():
                worker = await register_worker(session, "bench")
            operations[name] = _make_claim(pool, worker)
            stack.push_async_callback(_retire, pool, worker)
        return await measure_medians(operations, plan)


def _make_claim(pool: AsyncEngine, worker: UUID) -> Operation:
    async def take() -> None:
        async with AsyncSession(pool) as session, session.begin():
            claim = await repository.claim_without_rates(
                session, repository.ClaimRequest(NOOP_JOB, worker, current_time(), CONCURRENCY)
            )
        if len(claim.jobs) != CONCURRENCY:
            raise BenchmarkError(f"A claim returned {len(claim.jobs)} of {CONCURRENCY} due jobs.")

    return take


async def _retire(pool: AsyncEngine, worker: UUID) -> None:
    async with AsyncSession(pool) as session, session.begin():
        await retire_worker(session, worker, current_time())


def _measure_rates(few: Queue, many: Queue, load: Load, progress: Progress) -> Iterator[Figure]:
    """Yield how many jobs per second a worker completes, beside a simple loop, and with many future jobs."""
    progress(f"Running {load.noops:,} jobs that do nothing, {load.repetitions} times, with a loop and with a worker.")
    loop_rates: list[float] = []
    worker_rates: list[float] = []
    rates_with_many: list[float] = []
    with run_workers(few, 1) as of_few, run_workers(many, 1) as of_many:
        for _ in range(load.repetitions):
            few.add_jobs(few.add_workspaces(1), BASELINE_JOB, load.noops, current_time())
            loop_rates.append(load.noops / process_jobs(few.database.owner, BASELINE_JOB, load.noops))
            for queue, processes, rates in ((few, of_few, worker_rates), (many, of_many, rates_with_many)):
                workspaces = queue.add_workspaces(1)
                queue.add_jobs(workspaces, NOOP_JOB, load.noops, current_time())
                first, last = queue.wait_until_completed(workspaces, load.noops, processes)
                rates.append(load.noops / (last - first).total_seconds())
    rate = median(worker_rates)
    yield Figure("jobs by one worker, beside a bare loop", rate, "/s", median(loop_rates), at_least=MIN_RATIO_TO_LOOP)
    yield Figure(
        f"jobs by one worker beside {load.many:,} future jobs, beside {load.few:,}", median(rates_with_many), "/s", rate
    )


def _measure_lateness(queue: Queue, load: Load, progress: Progress) -> Iterator[Figure]:
    """Yield how late single jobs start."""
    progress(f"{load.trickle} jobs become due one by one within {load.trickle_seconds:g} s.")
    lateness: list[float] = []
    with run_workers(queue, 1, lambda _name, line: lateness.append(float(line) * 1000)) as processes:
        workspaces = queue.add_workspaces(1)
        apart = timedelta(seconds=load.trickle_seconds) / load.trickle
        queue.add_jobs(workspaces, TIMED_JOB, load.trickle, current_time() + timedelta(seconds=1), apart)
        queue.wait_until_completed(workspaces, load.trickle, processes)
    if len(lateness) != load.trickle:
        raise BenchmarkError(f"{len(lateness)} of {load.trickle} jobs printed their lateness.")
    percentiles = quantiles(lateness, n=100, method="inclusive")
    yield Figure("from due to started, p50", percentiles[49], "ms", at_most=MAX_P50_MS)
    yield Figure("from due to started, p99", percentiles[98], "ms", at_most=MAX_P99_MS)


def _measure_fairness(queue: Queue, load: Load, progress: Progress) -> Iterator[Figure]:
    """Yield how soon the jobs of other workspaces are completed while one workspace has very many due jobs."""
    for limited in (True, False):
        kind = "with a rate limit" if limited else "without one"
        progress(
            f"{load.flood:,} jobs of a workspace {kind}, beside {JOBS_OF_OTHERS} jobs each of {load.others} others."
        )
        with run_workers(queue, 1) as processes:
            (flooder,), others = queue.add_workspaces(1), queue.add_workspaces(load.others)
            if limited:
                queue.add_limits([flooder], NOOP_JOB, FLOOD_INTERVAL, FLOOD_BURST)
            with queue.connection.transaction():
                queue.add_jobs([flooder], NOOP_JOB, load.flood, current_time())
                queue.add_jobs(others, NOOP_JOB, JOBS_OF_OTHERS, current_time())
                due = current_time()
            _, last = queue.wait_until_completed(others, JOBS_OF_OTHERS * load.others, processes)
        queue.delete_jobs(NOOP_JOB, current_time())
        yield Figure(
            f"jobs of {load.others} others done beside {load.flood:,} of a workspace {kind}",
            (last - due).total_seconds(),
            "s",
            at_most=MAX_SECONDS_OF_OTHERS,
        )


def _measure_shared_limits(queue: Queue, load: Load, progress: Progress) -> Iterator[Figure]:
    """Yield how many jobs workspaces start whose rate limits several workers share, beside the permitted number."""
    progress(
        f"{SHARING_WORKERS} workers share the limits of {SHARING_WORKSPACES} workspaces for {load.shared_seconds:g} s."
    )
    period = timedelta(seconds=load.shared_seconds)
    permitted = SHARED_BURST + period // SHARED_INTERVAL
    # Almost up to the next permitted start, because the last one may be some milliseconds late.
    until = period + SHARED_INTERVAL * 0.9
    with run_workers(queue, SHARING_WORKERS) as processes:
        workspaces = queue.add_workspaces(SHARING_WORKSPACES)
        queue.add_limits(workspaces, NOOP_JOB, SHARED_INTERVAL, SHARED_BURST)
        queue.add_jobs(workspaces, NOOP_JOB, 2 * permitted, current_time())
        time.sleep(load.shared_seconds + 1)
        processes.require_running()
        started = queue.count_starts(workspaces, until)
    queue.delete_jobs(NOOP_JOB, current_time())
    about = f"of {SHARING_WORKSPACES} workspaces at {SHARING_WORKERS} workers, beside the permitted"
    yield Figure(f"most starts {about}", max(started), "jobs", permitted, at_most=1)
    yield Figure(f"fewest starts {about}", min(started), "jobs", permitted, at_least=1)


def _measure_enqueue(queue: Queue, load: Load, progress: Progress) -> Iterator[Figure]:
    """Yield how many single jobs per second writers enqueue, beside plain INSERTs."""
    progress(f"{WRITERS} writers enqueue single jobs, {load.repetitions} times.")
    (workspace,) = queue.add_workspaces(1)
    rates = asyncio.run(_enqueue_alternately(queue, workspace, load))
    name, rate = f"enqueued by {WRITERS} writers", rates["enqueue"]
    yield Figure(
        f"{name}, beside a bare INSERT in its place", rate, "/s", rates["insert"], at_least=MIN_RATIO_TO_INSERTS
    )
    yield Figure(f"{name}, beside the driver alone", rate, "/s", rates["driver"])


async def _enqueue_alternately(queue: Queue, workspace: UUID, load: Load) -> dict[str, float]:
    app, due = role_url(queue.database.owner, APP_ROLE), current_time() + FUTURE_DELAY
    row = {"workspace": workspace, "job_type": NOOP_JOB, "due": due}
    async with AsyncExitStack() as stack:
        pool = create_pool(app, size=WRITERS)
        stack.push_async_callback(pool.dispose)

        async def enqueue_job() -> None:
            async with transaction(pool, Scope(workspace_id=workspace)) as session:
                await enqueue(session, NOOP_JOB, workspace, [Job(due)])

        async def insert() -> None:
            async with transaction(pool, Scope(workspace_id=workspace)) as session:
                (await (await session.connection()).exec_driver_sql(INSERT, row)).all()

        driver = [
            driving(
                await stack.enter_async_context(connect_in_workspace(libpq_url(app), workspace)),
                Statement(INSERT.encode(), row),
            )
            for _ in range(WRITERS)
        ]
        groups: dict[str, Sequence[Operation]] = {
            "enqueue": [enqueue_job] * WRITERS,
            "insert": [insert] * WRITERS,
            "driver": driver,
        }
        return await measure_rates(groups, repetitions=load.repetitions, seconds=load.enqueue_seconds)
