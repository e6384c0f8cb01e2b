import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from api.http.resources import Services
from api.telemetry.scraping import MetricsEndpoint, serve_metrics
from api.telemetry.service import JobMetrics, watch_queue
from database.roles import owner_url
from domain.job import RunOutcome
from tests import ROOT
from tests.api.telemetry.conftest import Queue, scrape

pytestmark = pytest.mark.anyio

SOON = 60.0


@pytest.fixture
async def metrics_endpoint(database_url: str, services: Services) -> AsyncIterator[MetricsEndpoint]:
    """The metrics endpoint of a worker without a token."""
    async with watch_queue(owner_url(database_url), services.clock, ["send_email"], 20) as queue:
        yield MetricsEndpoint(CollectorRegistry(), queue, None)


async def test_jobs_are_counted_as_they_start_and_end(metrics_endpoint: MetricsEndpoint) -> None:
    """The next scrape has the lag, the run time and the outcome that the engine reported to its observer."""
    metrics = JobMetrics(metrics_endpoint.registry, ["send_email"])
    async with serve_metrics(metrics_endpoint, 0) as port, httpx.AsyncClient(timeout=30) as client:
        url = f"http://127.0.0.1:{port}/metrics"
        before = await scrape(client, url)
        ended = [before.value("jobs_ended_total", job_type="send_email", outcome=one) for one in RunOutcome]
        assert ended == [0] * len(RunOutcome)

        metrics.claimed("send_email", 0.3)
        metrics.claimed("send_email", -0.1)
        metrics.ended("send_email", RunOutcome.COMPLETED, 2.0)
        metrics.ended("send_email", RunOutcome.FAILED, 0.5)
        after = await scrape(client, url)

    assert after.value("job_lag_seconds_count", job_type="send_email") == 2
    assert after.value("job_lag_seconds_sum", job_type="send_email") == pytest.approx(0.3)
    assert after.value("job_lag_seconds_bucket", job_type="send_email", le="0.1") == 1
    assert after.value("job_run_seconds_sum", job_type="send_email") == pytest.approx(2.5)
    assert after.value("jobs_ended_total", job_type="send_email", outcome="failed") == 1
    assert after.value("jobs_ended_total", job_type="send_email", outcome="retried") == 0


async def test_a_worker_requires_the_token_too(metrics_endpoint: MetricsEndpoint) -> None:
    """The worker's port has the same access as the API's path, and serves nothing else."""
    guarded = MetricsEndpoint(metrics_endpoint.registry, metrics_endpoint.queue, SecretStr("secret"))
    async with (
        serve_metrics(guarded, 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", headers={"Authorization": "Bearer secret"})).status_code == 200
        assert (await client.get("/health/live")).status_code == 404


async def test_a_port_in_use_is_an_error(metrics_endpoint: MetricsEndpoint, listener: socket.socket) -> None:
    """A worker whose port is in use fails with a sentence, instead of running without metrics."""
    with pytest.raises(OSError, match="in use"):
        async with serve_metrics(metrics_endpoint, listener.getsockname()[1]):
            pytest.fail("it listens where another does")


async def test_the_worker_process_serves_metrics_and_stops(database_url: str, queue: Queue, tmp_path: Path) -> None:
    """A worker with a port serves metrics while it runs, counts itself as alive, and still ends on SIGTERM."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "SALESMATTER_HOME": str(tmp_path),
        "SALESMATTER_SECRET_KEY": "a key of the tests",
        "SALESMATTER_METRICS_PORT": str(port),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "salesmatter", "worker", cwd=ROOT, env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(SOON), httpx.AsyncClient(timeout=30) as client:
            while (alive := await _alive(client, f"http://127.0.0.1:{port}/metrics")) != 1:
                assert process.returncode is None, "the worker has ended"
                await asyncio.wait({asyncio.create_task(process.wait())}, timeout=0.1)
            assert alive == 1
            queue.add(queue.workspace(), 1, job_type="resume_sends")
            while await _done(client, f"http://127.0.0.1:{port}/metrics") != 1:
                await asyncio.wait({asyncio.create_task(process.wait())}, timeout=0.1)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _done(client: httpx.AsyncClient, url: str) -> float | None:
    """Return the number of jobs that the worker has ended with an outcome."""
    found = await scrape(client, url)
    ended = [found.value("jobs_ended_total", job_type="resume_sends", outcome=outcome) or 0 for outcome in RunOutcome]
    return sum(ended)


async def _alive(client: httpx.AsyncClient, url: str) -> float | None:
    """Return the number of live workers, None while the port does not respond."""
    try:
        return (await scrape(client, url)).value("workers_alive")
    except httpx.TransportError:
        return None
