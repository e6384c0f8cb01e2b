"""A sweep finds drafts and sends that lost their job and queues them again."""

from uuid import UUID, uuid4

import psycopg
import pytest

from api.delivery.sending import service as sending
from api.delivery.sending.service import Claim, SendRequest
from api.delivery.unresolved_sends import service
from api.http.resources import Services
from database.tenancy import Scope, transaction
from tests.api.delivery.unresolved_sends.worlds import behave, claimed_ago, one_of, sweep, unknown_send
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio


async def reviewed(outreach: Outreach, email: str = "thandi@lead.example") -> str:
    """Have a draft approved whose job was called off; returns the draft."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead(email))
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    for job in (await outreach.get("/jobs", type="send_email", status="pending"))["items"]:
        await outreach.post(f"/jobs/{job['id']}/cancel")
    (draft,) = (await outreach.get("/drafts", sequenceId=sequence_id))["items"]
    draft_id: str = draft["id"]
    return draft_id


async def claim(outreach: Outreach, services: Services, draft_id: str) -> None:
    """Claim a draft as a worker does that is then lost, and its job with it."""
    async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
        request = SendRequest(UUID(draft_id), services.clock.now(), uuid4())
        (claimed,) = await sending.claim_drafts(session, outreach.workspace_id, [request])
    assert isinstance(claimed, Claim)


async def test_a_lost_claim_becomes_unknown(outreach: Outreach, services: Services, database_url: str) -> None:
    """A claim older than an hour that no job is busy with is looked up; a younger one is left to its worker."""
    draft_id = await reviewed(outreach)
    await claim(outreach, services, draft_id)
    await claimed_ago(database_url, 0.9)
    await sweep(outreach, services)
    assert (await outreach.get("/unknown-sends"))["items"] == []

    await claimed_ago(database_url, 1.1)
    await sweep(outreach, services)

    shown = await one_of(outreach, draft_id)
    assert (shown["error"], shown["lookUps"]) == (
        "the worker stopped after claiming the mail, before recording the result",
        1,
    )
    assert outreach.mails() == []


async def test_a_claim_whose_job_runs_is_not_lost(outreach: Outreach, services: Services, database_url: str) -> None:
    """However long a call takes, the claim belongs to the job that runs."""
    draft_id = await reviewed(outreach)
    await claim(outreach, services, draft_id)
    await claimed_ago(database_url, 5)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        await owner.execute("UPDATE app.scheduled_jobs SET status = 'running' WHERE job_type = 'send_email'")
        async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
            found = await service.list_lost_claims(session, outreach.workspace_id, services.clock.now())
        await owner.execute("UPDATE app.scheduled_jobs SET status = 'cancelled' WHERE job_type = 'send_email'")
        async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
            then = await service.list_lost_claims(session, outreach.workspace_id, services.clock.now())

    assert (list(found), list(then)) == ([], [UUID(draft_id)])


async def test_an_unknown_send_without_a_look_up_gets_one(
    outreach: Outreach, services: Services, database_url: str
) -> None:
    """Where the job that was to look is gone, the mail is found all the same; one that is stuck is left to a person."""
    draft_id = await unknown_send(outreach, taken=True)
    (job,) = (await outreach.get("/jobs", type="reconcile_send"))["items"]
    await outreach.post(f"/jobs/{job['id']}/cancel")
    behave(outreach, lists=True)
    await claimed_ago(database_url, 25)
    await sweep(outreach, services)
    assert (await one_of(outreach, draft_id))["nextLookUpAt"] is None

    await claimed_ago(database_url, 23)
    await sweep(outreach, services)

    assert (await outreach.get(f"/drafts/{draft_id}"))["status"] == "sent"


async def test_a_look_up_that_waits_is_enough(outreach: Outreach, services: Services) -> None:
    """A send that is to be looked up already gets no second job."""
    await unknown_send(outreach, taken=True)
    await sweep(outreach, services)
    assert len((await outreach.get("/jobs", type="reconcile_send"))["items"]) == 1


async def test_a_draft_without_a_job_goes_out(outreach: Outreach, services: Services) -> None:
    """A reviewed draft that no job waits for is sent, once, however often the sweep runs."""
    await reviewed(outreach)
    await sweep(outreach, services)
    await sweep(outreach, services)
    assert len(outreach.mails()) == 1


async def test_what_a_pause_or_a_missing_connection_holds_stays(outreach: Outreach, services: Services) -> None:
    """What waits for a person gets no job each hour that would find nothing to do."""
    draft_id = await reviewed(outreach)
    draft = await outreach.get(f"/drafts/{draft_id}")
    open_jobs = {"type": "send_email", "limit": "500"}
    before = (await outreach.get("/jobs", **open_jobs))["items"]
    await outreach.post(f"/sequences/{draft['sequenceId']}/pause")
    await sweep(outreach, services)
    await outreach.post(f"/sequences/{draft['sequenceId']}/activate")
    await outreach.post(f"/enrollments/{draft['enrollmentId']}/pause")
    await sweep(outreach, services)
    connection = f"{outreach.path}/everlytic-connection"
    etag = (await outreach.client.get(connection)).headers["ETag"]
    gone = await outreach.client.delete(connection, headers={"If-Match": etag})
    assert gone.status_code == 204, gone.text
    await outreach.post(f"/enrollments/{draft['enrollmentId']}/resume")
    await outreach.run_jobs()
    with_resume = (await outreach.get("/jobs", **open_jobs))["items"]
    await sweep(outreach, services)

    assert len(with_resume) == len(before) + 1
    assert (await outreach.get("/jobs", **open_jobs))["items"] == with_resume
    assert outreach.mails() == []
