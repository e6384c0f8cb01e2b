import asyncio
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from tests.api.telemetry.conftest import scrape

pytestmark = [pytest.mark.anyio, pytest.mark.own_app]

SOON = 10.0
LEADS = "/api/workspaces/{workspaceId}/leads"


async def test_requests_are_counted_by_template(app_client: httpx.AsyncClient, workspace: str) -> None:
    """Requests for different resources of one kind are one series, with the class of their status."""
    for of_workspace in (workspace, workspace, str(uuid4())):
        await app_client.get(LEADS.replace("{workspaceId}", of_workspace))
    found = await scrape(app_client)
    assert found.value("http_request_seconds_count", route=LEADS, method="GET", status="2xx") == 2
    assert found.value("http_request_seconds_count", route=LEADS, method="GET", status="4xx") == 1
    assert (found.value("http_request_seconds_sum", route=LEADS, method="GET", status="2xx") or 0) > 0


async def test_callers_cannot_create_series(app_client: httpx.AsyncClient) -> None:
    """All paths without a route are one series, and so are all unknown methods."""
    for _ in range(5):
        await app_client.request(f"X{uuid4().hex}", f"/{uuid4()}")
        await app_client.get(f"/{uuid4()}")
    found = await scrape(app_client)
    strays = [labels for labels in found.labels("http_request_seconds_count") if ("route", "none") in labels]
    assert {dict(labels)["method"] for labels in strays} == {"GET", "other"}
    assert found.value("http_request_seconds_count", route="none", method="other", status="4xx") == 5


async def test_an_unexpected_error_is_counted(app: FastAPI, app_client: httpx.AsyncClient) -> None:
    """An unexpected error returns 500, which the alert on 5xx counts."""

    async def fail() -> None:
        raise RuntimeError("unforeseen")

    app.add_api_route("/failing", fail)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/failing")).status_code == 500
    found = await scrape(app_client)
    assert found.value("http_request_seconds_count", route="/failing", method="GET", status="5xx") == 1


async def test_a_live_query_is_counted_when_it_starts(served: str, api_key: str, workspace: str) -> None:
    """An open stream is counted with its route and the time to its first byte."""
    headers = {"Authorization": f"Bearer {api_key}", "Accept": "text/event-stream"}
    url = LEADS.replace("{workspaceId}", workspace)
    async with (
        asyncio.timeout(SOON),
        httpx.AsyncClient(base_url=served, timeout=30) as client,
        client.stream("GET", url, headers=headers) as stream,
    ):
        assert stream.status_code == 200
        found = await scrape(client)
    assert found.value("http_request_seconds_count", route=LEADS, method="GET", status="2xx") == 1
