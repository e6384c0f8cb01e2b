import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import psycopg
import pytest

from api.accounts import service
from api.http.resources import Services
from database.roles import libpq_url, owner_url
from database.tenancy import Scope, transaction
from tests.api.sending_workspace import Outreach
from tests.business_clock import business_now

pytestmark = pytest.mark.anyio


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """Inserts jobs in the states that tests need."""
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


async def test_an_invalid_filter_is_malformed(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A filter with an invalid value returns 422."""
    for query in ({"status": "asleep"}, {"type": "DROP TABLE"}, {"type": "a\x00"}, {"limit": "0"}):
        assert (await app_client.get(f"/api/workspaces/{workspace}/jobs", params=query)).status_code == 422, query


async def test_a_payload_is_never_shown(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """A payload may contain a token, so neither the list nor a single job shows it."""
    job_id = await add_job(owner, workspace, "register_webhook", payload=json.dumps({"token": "s3cret"}))
    url = f"/api/workspaces/{workspace}/jobs"
    for response in (await app_client.get(url), await app_client.get(f"{url}/{job_id}")):
        assert response.status_code == 200
        assert "s3cret" not in response.text
        assert "payload" not in response.text


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_failed_and_cancelled_jobs_can_be_retried(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection, status: str
) -> None:
    """A failed or cancelled job is pending and due now, with attempts left; its `scheduledFor` does not change."""
    job_id = await add_job(
        owner,
        workspace,
        status=status,
        attempts=5,
        max_attempts=5,
        last_error="no",
        completed_at=business_now(),
    )
    url = f"/api/workspaces/{workspace}/jobs/{job_id}"
    before, since = (await app_client.get(url)).json(), business_now()

    response = await app_client.post(f"{url}/retry")

    after = response.json()
    assert response.status_code == 200
    assert (after["status"], after["attempts"], after["maxAttempts"], after["completedAt"]) == ("pending", 5, 10, None)
    assert since <= datetime.fromisoformat(after["runAt"]) <= business_now()
    assert after["scheduledFor"] == before["scheduledFor"]


async def test_other_jobs_cannot_be_retried(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Retrying a pending, running or completed job is a conflict with a sentence."""
    sentences = {
        "pending": "This job is already pending.",
        "running": "Only jobs with status cancelled or failed can be retried.",
        "completed": "Only jobs with status cancelled or failed can be retried.",
    }
    for status, sentence in sentences.items():
        job_id = await add_job(owner, workspace, status=status)
        response = await app_client.post(f"/api/workspaces/{workspace}/jobs/{job_id}/retry")
        assert (response.status_code, response.json()["code"]) == (409, "invalid_transition")
        assert response.json()["detail"] == sentence


async def test_a_pending_job_can_be_cancelled(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """A pending job becomes cancelled and has ended."""
    job_id = await add_job(owner, workspace)
    response = await app_client.post(f"/api/workspaces/{workspace}/jobs/{job_id}/cancel")
    assert (response.status_code, response.json()["status"]) == (200, "cancelled")
    assert response.json()["completedAt"] is not None


async def test_a_started_job_cannot_be_cancelled(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Cancelling a running or ended job is a conflict."""
    for status in ("running", "completed", "failed", "cancelled"):
        job_id = await add_job(owner, workspace, status=status)
        response = await app_client.post(f"/api/workspaces/{workspace}/jobs/{job_id}/cancel")
        assert response.status_code == 409, status


async def test_another_accounts_job_does_not_exist(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection, services: Services
) -> None:
    """Reading, retrying and cancelling another account's job return 404, also with one's own workspace in the path."""
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


async def test_a_job_shows_the_ids_it_is_about(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """The ids in a payload are shown by their names, and no other value of it."""
    draft_id = str(uuid4())
    payload = json.dumps({"draftId": draft_id, "sequenceId": None, "token": "s3cret"})
    job_id = await add_job(owner, workspace, payload=payload)
    about = (await app_client.get(f"/api/workspaces/{workspace}/jobs/{job_id}")).json()["about"]
    assert {name: value for name, value in about.items() if value} == {"draftId": draft_id}


async def test_jobs_of_a_period(app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection) -> None:
    """A period includes `since` and excludes `until`, by `scheduledFor`; a time needs an offset."""
    days = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2, 3)]
    ids = [await add_job(owner, workspace, scheduled_for=day, run_at=day) for day in days]
    url = f"/api/workspaces/{workspace}/jobs"
    query = {"since": "2026-03-02T02:00:00+02:00", "until": "2026-03-03T00:00:00Z"}
    assert [one["id"] for one in (await app_client.get(url, params=query)).json()["items"]] == [ids[1]]
    assert (await app_client.get(url, params={"since": "2026-03-02T02:00:00"})).status_code == 422


async def test_many_jobs_are_retried(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """All failed jobs of a type are pending again with attempts left; other types, statuses and times do not change."""
    day = datetime(2026, 3, 4, tzinfo=UTC)
    failed = [await add_job(owner, workspace, status="failed", attempts=5, completed_at=day) for _ in range(3)]
    early = datetime(2026, 1, 1, tzinfo=UTC)
    others = [
        await add_job(owner, workspace, "generate_draft", status="failed", completed_at=day),
        await add_job(owner, workspace, status="cancelled", completed_at=day),
        await add_job(owner, workspace, status="completed", completed_at=day),
        await add_job(owner, workspace, status="failed", completed_at=day, scheduled_for=early, run_at=early),
    ]
    url = f"/api/workspaces/{workspace}/jobs"
    before, since = [(await app_client.get(f"{url}/{one}")).json() for one in others], business_now()

    body = {"type": "send_email", "status": "failed", "since": "2026-02-01T00:00:00Z"}
    response = await app_client.post(f"{url}/retry", json=body)

    assert (response.status_code, response.json()) == (200, {"retried": 3, "remaining": 0})
    after = [(await app_client.get(f"{url}/{one}")).json() for one in failed]
    assert {(one["status"], one["maxAttempts"], one["completedAt"]) for one in after} == {("pending", 10, None)}
    assert all(since <= datetime.fromisoformat(one["runAt"]) <= business_now() for one in after)
    assert [(await app_client.get(f"{url}/{one}")).json() for one in others] == before
    again = await app_client.post(f"{url}/retry", json=body)
    assert again.json() == {"retried": 0, "remaining": 0}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "failed"},
        {"type": "send_email", "status": "pending"},
        {"type": "DROP TABLE"},
        {"type": "send_email", "since": "2026-02-01T00:00:00"},
        {"type": "send_email", "all": True},
    ],
)
async def test_a_bulk_retry_needs_a_valid_filter(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection, body: dict[str, object]
) -> None:
    """Without a type, or with a status that cannot be retried, no job is retried."""
    job_id = await add_job(owner, workspace, status="failed")
    url = f"/api/workspaces/{workspace}/jobs"
    assert (await app_client.post(f"{url}/retry", json=body)).status_code == 422
    assert (await app_client.get(f"{url}/{job_id}")).json()["status"] == "failed"


async def test_concurrent_changes_of_a_job(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """If two callers make the same change at once, one succeeds and the other gets a conflict."""
    job_id = await add_job(owner, workspace)
    url = f"/api/workspaces/{workspace}/jobs/{job_id}"
    for what, status in (("cancel", "cancelled"), ("retry", "pending")):
        answers = await asyncio.gather(*(app_client.post(f"{url}/{what}") for _ in range(2)))
        done, refused = sorted(answers, key=lambda answer: answer.status_code)
        assert (done.status_code, done.json()["status"], refused.status_code) == (200, status, 409)
        assert status in refused.json()["detail"]


async def approved_draft(outreach: Outreach) -> str:
    """Approve a draft whose job waits for a worker, and return that job's id."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    (job,) = (await outreach.get("/jobs", type="send_email"))["items"]
    assert isinstance(job["id"], str)
    return job["id"]


async def test_a_cancelled_send(outreach: Outreach) -> None:
    """The draft of a cancelled send stays reviewed and unsent; the job shows the draft, and its retry sends it once."""
    job_id = await approved_draft(outreach)
    cancelled = (await outreach.post(f"/jobs/{job_id}/cancel")).json()
    await outreach.run_jobs()
    (draft,) = (await outreach.get("/drafts"))["items"]
    assert (draft["status"], cancelled["about"]["draftId"], outreach.mails()) == ("reviewed", draft["id"], [])

    await outreach.post(f"/jobs/{job_id}/retry")
    await outreach.run_jobs()

    assert len(outreach.mails()) == 1
    assert (await outreach.get(f"/jobs/{job_id}"))["status"] == "completed"


@pytest.mark.parametrize("outcome", ["accepted", "claimed", "unknown"])
async def test_a_send_tried_again_is_not_sent_again(
    outreach: Outreach, owner: psycopg.AsyncConnection, outcome: str
) -> None:
    """A retried send job finds the claim and does not call the provider, for every outcome of the call."""
    job_id = await approved_draft(outreach)
    await outreach.run_jobs()
    assert len(outreach.mails()) == 1
    await owner.execute("UPDATE app.scheduled_jobs SET status = 'failed' WHERE id = %s", [job_id])
    await owner.execute("UPDATE app.send_attempts SET outcome = %s", [outcome])
    await owner.execute("UPDATE app.email_drafts SET status = 'reviewed' WHERE sent_at IS NOT NULL")

    assert (await outreach.post("/jobs/retry", {"type": "send_email"})).json() == {"retried": 1, "remaining": 0}
    await outreach.run_jobs()

    assert len(outreach.mails()) == 1
    assert (await outreach.get(f"/jobs/{job_id}"))["status"] == "completed"
