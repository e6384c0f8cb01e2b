"""The metrics: counters of the process, and gauges that are read from the queue for each scrape."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.telemetry import repository
from database.engine import create_pool
from database.roles import ENGINE_ROLE, role_url
from domain.clock import Clock
from domain.job import RunOutcome

log = logging.getLogger(__name__)

READ_WITHIN_SECONDS = 5.0
"""Less than the scrape timeout of Prometheus, so that a scrape without the database still has the process's metrics."""
FAILED_WITHIN = timedelta(hours=1)
LAG_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800)
RUN_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300)
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
LABEL = ("job_type",)
LABELS = (*LABEL, "state")


class JobMetrics:
    """Counts the jobs of a worker. Each job type starts at zero, so that the first failure is an increase."""

    def __init__(self, registry: CollectorRegistry, job_types: Sequence[str]) -> None:
        self._lag = Histogram(
            "salesmatter_job_lag_seconds",
            "From when a job was due to its start.",
            LABEL,
            registry=registry,
            buckets=LAG_BUCKETS,
        )
        self._run = Histogram(
            "salesmatter_job_run_seconds",
            "From a job's start to its end.",
            LABEL,
            registry=registry,
            buckets=RUN_BUCKETS,
        )
        self._ended = Counter(
            "salesmatter_jobs_ended", "Runs of jobs that ended.", (*LABEL, "outcome"), registry=registry
        )
        for job_type in job_types:
            self._lag.labels(job_type)
            self._run.labels(job_type)
            for outcome in RunOutcome:
                self._ended.labels(job_type, outcome)

    def claimed(self, job_type: str, lag_seconds: float) -> None:
        """Count a start. A negative lag, from clocks that differ, counts as zero."""
        self._lag.labels(job_type).observe(max(0.0, lag_seconds))

    def ended(self, job_type: str, outcome: RunOutcome, seconds: float) -> None:
        """Count an end."""
        self._run.labels(job_type).observe(seconds)
        self._ended.labels(job_type, outcome).inc()


class RequestMetrics:
    """Counts the requests of an API process by route, method and class of status, which have few values."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "salesmatter_http_request_seconds",
            "From a request's arrival to the start of its response.",
            ("route", "method", "status"),
            registry=registry,
            buckets=REQUEST_BUCKETS,
        )

    def answered(self, route: str | None, method: str, status: int, seconds: float) -> None:
        """Count a response; `route` is the path template, None if no route matches."""
        method_label = method if method in METHODS else "other"
        self._seconds.labels(route or "none", method_label, f"{status // 100}xx").observe(seconds)


class QueueMetrics:
    """Reads the state of the queue over one connection, so that simultaneous scrapes run one after the other."""

    def __init__(self, pool: AsyncEngine, clock: Clock, job_types: Sequence[str], lost_after_seconds: float) -> None:
        self._pool, self._clock = pool, clock
        self._job_types, self._lost_after_seconds = job_types, lost_after_seconds

    async def read_gauges(self) -> list[Metric]:
        """Return the gauges; if the queue cannot be read only `salesmatter_queue_readable` with 0."""
        readable = GaugeMetricFamily("salesmatter_queue_readable", "1 when the queue could be read for this scrape.")
        try:
            async with asyncio.timeout(READ_WITHIN_SECONDS), AsyncSession(self._pool) as session, session.begin():
                await repository.set_limits(session, READ_WITHIN_SECONDS)
                families = await self._read(session)
        except (SQLAlchemyError, OSError) as error:
            log.warning("The queue cannot be read for its metrics: %s", error)
            readable.add_metric((), 0)
            return [readable]
        readable.add_metric((), 1)
        return [readable, *families]

    async def _read(self, session: AsyncSession) -> list[Metric]:
        now = self._clock.now()
        waiting = await repository.count_waiting(session, self._job_types, now)
        running = await repository.count_running(session)
        failed = await repository.count_failed(session, now - FAILED_WITHIN)
        alive = await repository.count_workers(session, self._lost_after_seconds)
        unknown = await repository.count_unknown_sends(session)
        jobs, oldest, ended, workspaces, share = _families()
        for row in waiting:
            labels = [row.job_type]
            jobs.add_metric([*labels, "due"], row.due)
            jobs.add_metric([*labels, "later"], row.later)
            oldest.add_metric(labels, -self._clock.real_seconds_until(row.oldest) if row.oldest else 0)
            shares = await repository.count_shares(session, row.job_type, now) if row.due else None
            workspaces.add_metric(labels, shares.workspaces if shares else 0)
            share.add_metric(labels, float(shares.largest_share) if shares else 0)
        job_types = {row.job_type for row in waiting}
        for job_type in job_types | set(running):
            jobs.add_metric([job_type, "running"], running.get(job_type, 0))
        for job_type in job_types | set(failed):
            ended.add_metric([job_type], failed.get(job_type, 0))
        workers = GaugeMetricFamily("salesmatter_workers_alive", "Workers with a recent heartbeat.", value=alive)
        sends = GaugeMetricFamily("salesmatter_sends_unknown", "Sends of unknown outcome.", value=unknown.number)
        since = -self._clock.real_seconds_until(unknown.oldest) if unknown.oldest else 0
        stuck = GaugeMetricFamily(
            "salesmatter_sends_unknown_oldest_seconds", "How long the oldest of them has been unknown.", value=since
        )
        return [jobs, oldest, ended, workspaces, share, workers, sends, stuck]


def _families() -> list[GaugeMetricFamily]:
    most = f"counted up to {repository.MAX_COUNTED}"
    return [
        GaugeMetricFamily("salesmatter_jobs", f"Jobs due, waiting for later ({most} each) or running.", None, LABELS),
        GaugeMetricFamily("salesmatter_jobs_oldest_due_seconds", "How long the oldest has been due.", None, LABEL),
        GaugeMetricFamily("salesmatter_jobs_failed_last_hour", "Jobs that failed permanently in an hour.", None, LABEL),
        GaugeMetricFamily("salesmatter_jobs_due_workspaces", "Workspaces that have due jobs.", None, LABEL),
        GaugeMetricFamily(
            "salesmatter_jobs_due_largest_share",
            f"The share of due jobs ({most} a workspace) that one workspace has.",
            None,
            LABEL,
        ),
    ]


@asynccontextmanager
async def watch_queue(
    owner: URL, clock: Clock, job_types: Sequence[str], lost_after_seconds: float
) -> AsyncIterator[QueueMetrics]:
    """Yield the queue's metrics, read over one connection that the first scrape opens."""
    pool = create_pool(role_url(owner, ENGINE_ROLE), size=1, application_name="salesmatter-metrics")
    try:
        yield QueueMetrics(pool, clock, job_types, lost_after_seconds)
    finally:
        await pool.dispose()


def process_registry() -> CollectorRegistry:
    """Return a registry with the process's memory, CPU time and open files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


class _StaticCollector:
    """A collector of metrics that were read before."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


async def render_metrics(registry: CollectorRegistry, queue: QueueMetrics, accept: str) -> tuple[bytes, str]:
    """Return the metrics of the process and the queue in a format that `accept` names, and its content type."""
    merged = CollectorRegistry()
    merged.register(_StaticCollector([*registry.collect(), *await queue.read_gauges()]))
    encode, content_type = choose_encoder(accept)
    return encode(merged), content_type
