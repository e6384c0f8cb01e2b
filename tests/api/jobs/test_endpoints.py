import json
from collections.abc import AsyncIterator
from datetime import datetime

import httpx
import psycopg
import pytest

from api.resources import Services
from api.workspaces import service
from database.roles import libpq_url, owner_url
from database.tenancy import Scope, transaction

pytestmark = pytest.mark.anyio


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """Somebody who puts jobs where tests need them."""
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url(database_url)), autocommit=True) as connection:
        yield connection


async def add_job(
    owner: psycopg.AsyncConnection, workspace: str, job_type: str = "send_email", **values: object
) -> str:
    """Insert a job and return its id."""
    columns = {"workspace_id": workspace, "job_type": job_type, "scheduled_for": datetime(2026, 3, 4).astimezone()}
    columns = {**columns, "run_at": columns["scheduled_for"], **values}
    statement = psycopg.sql.SQL("INSERT INTO app.scheduled_jobs ({}) VALUES ({}) RETURNING id::text").format(
        psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, columns)),
        psycopg.sql.SQL(", ").join(psycopg.sql.Placeholder() * len(columns)),
    )
    (job_id,) = await (await owner.execute(statement, list(columns.values()))).fetchone() or ("",)
    return str(job_id)


async def test_jobs_are_listed_newest_first_by_type_and_status(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """All jobs of the workspace, or those of a type and a status, page by page."""
    ids = [await add_job(owner, workspace, status=status) for status in ("pending", "failed", "failed")]
    failed_ids = sorted(ids[1:])  # within one millisecond ids have no order but their own
    ids.append(await add_job(owner, workspace, "generate_draft", status="failed"))
    url = f"/api/workspaces/{workspace}/jobs"

    everything = (await app_client.get(url)).json()
    assert [one["id"] for one in everything["items"]] == sorted(ids, reverse=True)
    assert everything["nextCursor"] is None
    failed = (await app_client.get(url, params={"type": "send_email", "status": "failed", "limit": 1})).json()
    assert [one["id"] for one in failed["items"]] == failed_ids[1:]
    rest = await app_client.get(url, params={"type": "send_email", "status": "failed", "cursor": failed["nextCursor"]})
    assert [one["id"] for one in rest.json()["items"]] == failed_ids[:1]


async def test_a_filter_that_means_nothing_is_malformed(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A filter that cannot match by its form answers 422."""
    for query in ({"status": "asleep"}, {"type": "DROP TABLE"}, {"type": "a\x00"}, {"limit": "0"}):
        assert (await app_client.get(f"/api/workspaces/{workspace}/jobs", params=query)).status_code == 422, query


async def test_a_payload_is_never_shown(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """A payload may hold a token, so neither list nor item shows any of it."""
    job_id = await add_job(owner, workspace, "register_webhook", payload=json.dumps({"token": "s3cret"}))
    url = f"/api/workspaces/{workspace}/jobs"
    for response in (await app_client.get(url), await app_client.get(f"{url}/{job_id}")):
        assert response.status_code == 200
        assert "s3cret" not in response.text
        assert "payload" not in response.text


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_what_ended_badly_can_be_tried_again(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection, status: str
) -> None:
    """A failed or cancelled job waits again, due now, with attempts left; when it was asked for stays."""
    job_id = await add_job(
        owner,
        workspace,
        status=status,
        attempts=5,
        max_attempts=5,
        last_error="no",
        completed_at=datetime.now().astimezone(),
    )
    url = f"/api/workspaces/{workspace}/jobs/{job_id}"
    before = (await app_client.get(url)).json()

    response = await app_client.post(f"{url}/retry")

    after = response.json()
    assert response.status_code == 200
    assert (after["status"], after["attempts"], after["maxAttempts"], after["completedAt"]) == ("pending", 5, 10, None)
    assert after["runAt"] > before["runAt"]
    assert after["scheduledFor"] == before["scheduledFor"]


async def test_only_what_ended_badly_can_be_tried_again(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Trying again what waits, runs or succeeded is a conflict that says so."""
    for status in ("pending", "running", "completed"):
        job_id = await add_job(owner, workspace, status=status)
        response = await app_client.post(f"/api/workspaces/{workspace}/jobs/{job_id}/retry")
        assert (response.status_code, response.json()["code"]) == (409, "conflict")
        assert f"The job is {status}" in response.json()["detail"]


async def test_what_waits_can_be_called_off(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """A pending job becomes cancelled and has ended."""
    job_id = await add_job(owner, workspace)
    response = await app_client.post(f"/api/workspaces/{workspace}/jobs/{job_id}/cancel")
    assert (response.status_code, response.json()["status"]) == (200, "cancelled")
    assert response.json()["completedAt"] is not None


async def test_what_has_started_cannot_be_called_off(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Calling off what runs or has ended is a conflict."""
    for status in ("running", "completed", "failed", "cancelled"):
        job_id = await add_job(owner, workspace, status=status)
        response = await app_client.post(f"/api/workspaces/{workspace}/jobs/{job_id}/cancel")
        assert response.status_code == 409, status


async def test_another_accounts_job_does_not_exist(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection, services: Services
) -> None:
    """Looking at, trying again and calling off another account's job answer 404, also by way of one's own workspace."""
    async with transaction(services.pool, Scope()) as session:
        other = await service.create_account(session, name="Other", user_name="Bob", email="bob@other.example")
    theirs = {"Authorization": f"Bearer {other.api_key}"}
    body = {"name": "Theirs", "defaultFromName": "Bob", "defaultFromEmail": "bob@other.example"}
    their_workspace = (await app_client.post("/api/workspaces", json=body, headers=theirs)).json()["id"]
    job_id = await add_job(owner, workspace, status="failed")
    for place, headers in ((workspace, theirs), (their_workspace, theirs)):
        url = f"/api/workspaces/{place}/jobs/{job_id}"
        assert (await app_client.get(url, headers=headers)).status_code == 404
        assert (await app_client.post(f"{url}/retry", headers=headers)).status_code == 404
        assert (await app_client.post(f"{url}/cancel", headers=headers)).status_code == 404
    assert (await app_client.get(f"/api/workspaces/{workspace}/jobs/{job_id}")).json()["status"] == "failed"
