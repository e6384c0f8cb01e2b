import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from api.http.resources import Services
from api.telemetry.repository import MAX_COUNTED
from api.telemetry.scraping import MetricsEndpoint, serve_metrics
from api.telemetry.service import QueueMetrics, process_registry, watch_queue
from database.roles import ENGINE_ROLE, libpq_url, owner_url, role_url
from domain.clock import Clock
from tests.api.running import RunJobs
from tests.api.telemetry.conftest import Queue, scrape
from tests.business_clock import BUSINESS_NOW
from tests.database.rows import fill_every_table
from tests.postgres import drop_database

pytestmark = pytest.mark.anyio


async def test_jobs_are_counted_by_type_and_state(served: str, queue: Queue) -> None:
    """A scrape over HTTP has due, later, running and recently failed jobs, and zero for types without jobs."""
    async with httpx.AsyncClient(base_url=served, timeout=30) as client:
        before = await scrape(client)
        assert before.value("queue_readable") == 1
        assert before.value("jobs", job_type="send_email", state="due") == 0
        assert before.value("jobs_oldest_due_seconds", job_type="send_email") == 0

        workspace = queue.workspace()
        queue.add(workspace, 2, seconds=-100)
        queue.add(workspace, 3, seconds=100)
        queue.add(workspace, 4, status="running")
        queue.add(workspace, 5, status="failed", seconds=-1800)
        queue.add(workspace, 6, status="failed", seconds=-5400)
        queue.add(workspace, 7, status="cancelled")
        queue.add(workspace, 8, status="completed")
        after = await scrape(client)

    counted = [after.value("jobs", job_type="send_email", state=state) for state in ("due", "later", "running")]
    assert counted == [2, 3, 4]
    assert after.value("jobs_failed_last_hour", job_type="send_email") == 5
    assert 100 <= (after.value("jobs_oldest_due_seconds", job_type="send_email") or 0) < 160
    assert after.value("jobs", job_type="generate_draft", state="due") == 0


async def test_ended_jobs_are_not_due(app_client: httpx.AsyncClient, queue: Queue, run_jobs: RunJobs) -> None:
    """A job that a worker has ended is neither due nor running at the next scrape."""
    queue.add(queue.workspace(), 3, job_type="resume_sends")
    assert (await scrape(app_client)).value("jobs", job_type="resume_sends", state="due") == 3

    await run_jobs()

    after = await scrape(app_client)
    assert after.value("jobs", job_type="resume_sends", state="due") == 0
    assert after.value("jobs", job_type="resume_sends", state="running") == 0


async def test_unresolved_sends_are_counted(app_client: httpx.AsyncClient, queue: Queue) -> None:
    """The number of unresolved sends and the age of the oldest, without their workspaces."""
    before = await scrape(app_client)
    assert (before.value("sends_unknown"), before.value("sends_unknown_oldest_seconds")) == (0, 0)
    for label in ("a", "b"):
        fill_every_table(queue.owner, label)
    claimed_at = f"{BUSINESS_NOW} - interval '2 hours'"
    queue.owner.execute(f"UPDATE app.send_attempts SET outcome = 'unknown', claimed_at = {claimed_at}")
    after = await scrape(app_client)
    assert after.value("sends_unknown") == 2
    assert 7200 <= (after.value("sends_unknown_oldest_seconds") or 0) < 7300


async def test_ages_are_real_seconds(app_client: httpx.AsyncClient, services: Services, queue: Queue) -> None:
    """Where business time runs 60 times as fast, a job and a send of two hours ago are two real minutes old."""
    clock = services.clock
    clock.real_start, clock.virtual_start, clock.speed = time.time(), clock.now(), 60.0
    queue.add(queue.workspace(), seconds=-7200)
    fill_every_table(queue.owner, "a")
    claimed_at = f"{BUSINESS_NOW} - interval '2 hours'"
    queue.owner.execute(f"UPDATE app.send_attempts SET outcome = 'unknown', claimed_at = {claimed_at}")
    after = await scrape(app_client)
    assert 119 <= (after.value("jobs_oldest_due_seconds", job_type="send_email") or 0) < 200
    assert 119 <= (after.value("sends_unknown_oldest_seconds") or 0) < 200


async def test_jobs_without_a_lane_are_counted(app_client: httpx.AsyncClient, queue: Queue) -> None:
    """Jobs of a type without a lane, which an older release may have left, are counted too."""
    queue.add(queue.workspace(), 2, job_type="retired", seconds=-50)
    found = await scrape(app_client)
    assert found.value("jobs", job_type="retired", state="due") == 2
    assert (found.value("jobs_oldest_due_seconds", job_type="retired") or 0) >= 50


async def test_the_largest_share_and_the_waiting_workspaces(app_client: httpx.AsyncClient, queue: Queue) -> None:
    """A workspace with more due jobs than are counted does not hide the others, and no workspace is a label."""
    large, small, idle = queue.workspace(), queue.workspace(), queue.workspace()
    queue.add(large, MAX_COUNTED + 5, seconds=-500)
    queue.add(small, 10)
    queue.add(idle, 10, seconds=500)

    found = await scrape(app_client)

    assert found.value("jobs_due_workspaces", job_type="send_email") == 2
    share = MAX_COUNTED / (MAX_COUNTED + 10)
    assert found.value("jobs_due_largest_share", job_type="send_email") == pytest.approx(share)
    assert found.value("jobs", job_type="send_email", state="due") == MAX_COUNTED
    text = (await app_client.get("/metrics")).text
    assert not [one for one in (large, small, idle) if str(one) in text]


async def test_workers_with_heartbeats_are_counted(app_client: httpx.AsyncClient, queue: Queue) -> None:
    """A worker without a heartbeat for SALESMATTER_LOST_AFTER_SECONDS is not counted."""
    assert (await scrape(app_client)).value("workers_alive") == 0
    queue.owner.execute(
        "INSERT INTO app.job_workers (host, beat_at) VALUES ('a', now()), ('b', now() - interval '10 s'),"
        " ('c', now() - interval '1 min')"
    )
    assert (await scrape(app_client)).value("workers_alive") == 2


async def test_lag_is_in_real_seconds(database_url: str, queue: Queue) -> None:
    """If business time is a hundred times as fast, a job that is due for 1,000 business seconds has waited for 10."""
    queue.add(queue.workspace(), seconds=-1000)
    now = queue.owner.execute(f"SELECT extract(epoch FROM now())::float8, {BUSINESS_NOW}").fetchone()
    assert now is not None
    async with (
        watch_queue(owner_url(database_url), Clock(now[0], now[1], 100), ["send_email"], 20) as watched,
        serve_metrics(MetricsEndpoint(process_registry(), watched, None), 0) as port,
        httpx.AsyncClient(timeout=30) as client,
    ):
        found = await scrape(client, f"http://127.0.0.1:{port}/metrics")
    assert 10 <= (found.value("jobs_oldest_due_seconds", job_type="send_email") or 0) < 40


@pytest.mark.own_app
async def test_a_scrape_works_without_the_database(
    app_client: httpx.AsyncClient, database_url: str, postgres_url: str
) -> None:
    """Without a database the scrape has the process's own metrics, and reports that the queue cannot be read."""
    await app_client.get("/health/live")
    drop_database(postgres_url, database_url.rpartition("/")[2])
    found = await scrape(app_client)
    assert found.value("queue_readable") == 0
    assert found.value("workers_alive") is None
    assert found.value("http_request_seconds_count", route="/health/live", method="GET", status="2xx") == 1


async def test_counting_stops(database_url: str, queue: Queue, services: Services) -> None:
    """With any number of later, due or ended jobs a scrape reads at most as many of each as the limit.

    The executed plans show it: only index scans, and the number of rows that they read.
    """
    for _ in range(3):
        queue.add(queue.workspace(), 2 * MAX_COUNTED, seconds=86_400)
        queue.add(queue.workspace(), 2 * MAX_COUNTED, status="completed")
    queue.add(queue.workspace(), 3 * MAX_COUNTED)
    queue.owner.execute("ANALYZE app.scheduled_jobs")

    async with watch_queue(owner_url(database_url), services.clock, ["send_email"], 20) as watched:
        entered, statements = await _statements_of(watched)

    scanned = [plan for statement in statements for plan in _scans(database_url, entered, statement)]
    assert {plan["Node Type"] for plan in scanned} <= {"Index Scan", "Index Only Scan"}
    read = [(plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"] for plan in scanned]
    assert max(read) == MAX_COUNTED
    assert 3 * MAX_COUNTED <= sum(read) < 3 * MAX_COUNTED + 100


Statement = tuple[str, Any]


async def _statements_of(watched: QueueMetrics) -> tuple[Statement, list[Statement]]:
    """Return the settings of a read of the queue, and its statements about jobs."""
    sent: list[Statement] = []
    pool: AsyncEngine = watched._pool

    @event.listens_for(pool.sync_engine, "before_cursor_execute")
    def _note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    assert len(await watched.read_gauges()) > 1
    return next(one for one in sent if "set_config" in one[0]), [one for one in sent if "app.scheduled_jobs" in one[0]]


def _scans(database_url: str, entered: Statement, statement: Statement) -> Iterator[dict[str, Any]]:
    """Run a statement like the engine, and return each scan of the queue in its plan."""
    role = role_url(owner_url(database_url), ENGINE_ROLE)
    with psycopg.connect(libpq_url(role)) as engine:
        engine.execute(entered[0].encode(), entered[1])
        explained = engine.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement[0]}".encode(), statement[1]).fetchone()
    assert explained is not None
    plans = [explained[0][0]["Plan"]]
    while plans:
        plan = plans.pop()
        plans += plan.get("Plans", [])
        if plan.get("Relation Name") == "scheduled_jobs" or "scheduled_jobs" in plan.get("Index Name", ""):
            yield plan
