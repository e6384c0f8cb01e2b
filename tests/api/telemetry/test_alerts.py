import re

import httpx
import pytest
from fastapi import FastAPI

from api.telemetry.scraping import MetricsEndpoint
from api.telemetry.service import JobMetrics
from tests import ROOT

pytestmark = pytest.mark.anyio

RUNBOOK = ROOT / "docs" / "runbook.md"
NAME = re.compile(r"salesmatter_(?!app\b|engine\b)\w+|process_\w+")
SUFFIX = re.compile(r"_(bucket|count|sum)$")
ALERTS = 8


async def test_alerts_use_existing_metrics(app: FastAPI, app_client: httpx.AsyncClient) -> None:
    """A metric in the runbook that no process exports would be an alert that never fires."""
    page = RUNBOOK.read_text(encoding="utf-8")
    metrics_endpoint: MetricsEndpoint = app.state.metrics_endpoint
    JobMetrics(metrics_endpoint.registry, ["send_email"])
    exported = set(re.findall(r"^# TYPE (\w+)", (await app_client.get("/metrics")).text, re.MULTILINE))

    alerts = page.partition("## Alerts\n")[2].partition("\n## ")[0]
    named = {SUFFIX.sub("", name) for name in NAME.findall(page)}
    assert len(re.findall(r"^\*\*", alerts, re.MULTILINE)) == ALERTS
    assert "salesmatter_workers_alive" in named
    assert named - exported == set()
