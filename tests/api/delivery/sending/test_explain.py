"""What the engine would do, said beforehand: the same judge, the same time."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from api.delivery.sending import service
from api.delivery.sending.service import SendRequest
from api.http.resources import Services
from database.tenancy import Scope, transaction
from domain.clock import Clock
from tests.api.running import RunJobs
from tests.api.sending_workspace import Outreach
from tests.sandbox import Sandbox

pytestmark = pytest.mark.anyio

MAUNDY_THURSDAY = datetime(2026, 4, 2, 13, tzinfo=UTC)
AFTER_EASTER = datetime(2026, 4, 7, 6, tzinfo=UTC)
OFFICE_HOURS = {
    "timezone": "Africa/Johannesburg",
    "windowStart": "08:00:00",
    "windowEnd": "17:00:00",
    "sendingWeekdays": [0, 1, 2, 3, 4],
    "holidaysCountry": "ZA",
}


def set_clock(clock: Clock, now: datetime) -> None:
    """Let the business time be `now` and go on from there."""
    clock.real_start, clock.virtual_start = time.time(), now


async def change_workspace(outreach: Outreach, **settings: object) -> None:
    """Change how the workspace sends."""
    response = await outreach.client.patch(outreach.path, json=settings)
    assert response.status_code == 200, response.text


async def add_sequence(outreach: Outreach, **step: object) -> str:
    """Make an active sequence of one step that approves its drafts by itself, and return its id."""
    sequence_id: str = (await outreach.post("/sequences", {"name": "Spring", "autoApprove": True})).json()["id"]
    body = {"subject": "One", "bodyTemplate": "Hello {{ first_name }}", **step}
    await outreach.post(f"/sequences/{sequence_id}/steps", body)
    await outreach.post(f"/sequences/{sequence_id}/activate")
    return sequence_id


async def explain_all(outreach: Outreach) -> list[dict[str, Any]]:
    """Return the explanations of all enrollments, the oldest first."""
    enrollments = (await outreach.get("/enrollments"))["items"]
    return [await outreach.get(f"/enrollments/{one['id']}/explain") for one in reversed(enrollments)]


async def test_the_engine_sends_when_it_was_said(outreach: Outreach, services: Services) -> None:
    """A day after Maundy Thursday is Good Friday: said and done, it goes out on Tuesday at eight and not before."""
    set_clock(services.clock, MAUNDY_THURSDAY)
    await change_workspace(outreach, **OFFICE_HOURS)
    sequence_id = await add_sequence(outreach, delayDays=1)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))

    (explained,) = await explain_all(outreach)
    set_clock(services.clock, AFTER_EASTER - timedelta(minutes=1))
    await outreach.run_jobs()
    before = outreach.mails()
    set_clock(services.clock, AFTER_EASTER)
    await outreach.run_jobs()

    assert datetime.fromisoformat(explained["sendsAt"]) == AFTER_EASTER
    assert (explained["binding"], explained["heldBy"], explained["holds"]) == ("public_holiday", None, [])
    considered = [(one["constraint"], one["at"]) for one in explained["considered"] if one["at"]]
    assert [name for name, _ in considered] == ["step_delay", "weekday", "public_holiday"]
    assert considered[-1][1] == explained["sendsAt"]
    assert before == []
    (draft,) = (await outreach.get("/drafts"))["items"]
    assert timedelta() <= datetime.fromisoformat(draft["sentAt"]) - AFTER_EASTER < timedelta(minutes=1)


async def test_the_daily_cap_is_said_and_kept(outreach: Outreach, services: Services) -> None:
    """The day's last mail is out: the next waits for tomorrow morning, by what is said and by its job."""
    set_clock(services.clock, MAUNDY_THURSDAY)
    await change_workspace(outreach, **{**OFFICE_HOURS, "holidaysCountry": None}, dailyCap=1)
    sequence_id = await add_sequence(outreach)
    for email in ("a@lead.example", "b@lead.example"):
        await outreach.enroll(sequence_id, await outreach.add_lead(email))

    _, explained = await explain_all(outreach)

    tomorrow = datetime(2026, 4, 3, 6, tzinfo=UTC)
    (waiting,) = [
        job for job in (await outreach.get("/jobs", type="send_email"))["items"] if job["status"] == "pending"
    ]
    assert len(outreach.mails()) == 1
    assert (explained["binding"], datetime.fromisoformat(explained["sendsAt"])) == ("daily_cap", tomorrow)
    assert datetime.fromisoformat(waiting["runAt"]) == tomorrow


async def test_a_cap_holds_for_leads_on_another_day(outreach: Outreach, services: Services) -> None:
    """In Auckland it is tomorrow already; the cap of the workspace's day holds all the same."""
    set_clock(services.clock, datetime(2026, 4, 1, 21, 30, tzinfo=UTC))
    await change_workspace(outreach, timezone="Africa/Johannesburg", dailyCap=1)
    sequence_id = await add_sequence(outreach)
    for email in ("a@lead.example", "b@lead.example"):
        made = await outreach.post("/leads", {"email": email, "firstName": "A", "timezone": "Pacific/Auckland"})
        await outreach.enroll(sequence_id, made.json()["id"])

    assert len(outreach.mails()) == 1
    assert (await explain_all(outreach))[1]["binding"] == "daily_cap"


async def test_everything_that_holds_is_named(outreach: Outreach) -> None:
    """Enrollment, sequence, suppression and draft, each in a sentence; lifted one by one, each goes."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    (enrollment,) = (await outreach.get("/enrollments"))["items"]
    await outreach.post(f"/enrollments/{enrollment['id']}/pause")
    await outreach.post(f"/sequences/{sequence_id}/pause")
    await outreach.post("/suppressions", {"domain": "lead.example"})

    (explained,) = await explain_all(outreach)
    await outreach.post(f"/enrollments/{enrollment['id']}/resume")
    await outreach.post(f"/sequences/{sequence_id}/activate")
    (later,) = await explain_all(outreach)

    holds = ["the enrollment is paused", "the sequence is Paused", "the address is suppressed"]
    assert explained["holds"] == [*holds, "the draft waits for review"]
    assert explained["heldBy"] == "; ".join(explained["holds"])
    assert explained["sendsAt"] is not None
    assert later["holds"] == ["the address is suppressed", "the draft waits for review"]


async def test_a_draft_says_what_has_become_of_it(outreach: Outreach, services: Services) -> None:
    """Being written, failed with its reason, being sent, unknown: none of them has a time."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    lead_id = await outreach.add_lead("thandi@lead.example")
    await outreach.post("/enrollments", {"sequenceId": sequence_id, "leadIds": [lead_id]})
    ((written,), explained) = (await explain_all(outreach), [])
    await outreach.run_jobs()
    draft_id = (await outreach.get("/drafts"))["items"][0]["id"]
    await outreach.post(f"/drafts/{draft_id}/reject", {"reason": "dull"})
    explained += await explain_all(outreach)
    await outreach.post(f"/drafts/{draft_id}/regenerate")
    await outreach.run_jobs()
    await outreach.post(f"/drafts/{draft_id}/approve")
    now, scope = services.clock.now(), Scope(workspace_id=outreach.workspace_id)
    async with transaction(services.pool, scope) as session:
        await service.claim_drafts(session, outreach.workspace_id, [SendRequest(UUID(draft_id), now, uuid4())])
    explained += await explain_all(outreach)
    async with transaction(services.pool, scope) as session:
        await service.record_unknown_outcome(session, outreach.workspace_id, UUID(draft_id), "lost", now)
    explained += await explain_all(outreach)

    assert written["heldBy"] == "the draft is being written"
    assert [one["heldBy"] for one in explained] == [
        "the draft failed: rejected: dull",
        "the mail is being sent",
        "the mail may have been sent: the outcome is unknown and is being looked up",
    ]
    assert {(one["sendsAt"], one["binding"]) for one in explained} == {(None, None)}


async def test_what_waits_for_a_connection_is_taken_up(
    app_client: httpx.AsyncClient, workspace: str, sandbox: Sandbox, run_jobs: RunJobs, database_url: str
) -> None:
    """Without a connection the mail waits, says so and is not claimed, its job does not fail; with one, it goes out."""
    base = f"/api/workspaces/{workspace}"
    sequence_id = (await app_client.post(f"{base}/sequences", json={"name": "S", "autoApprove": True})).json()["id"]
    await app_client.post(f"{base}/sequences/{sequence_id}/steps", json={"subject": "One", "bodyTemplate": "Hi"})
    await app_client.post(f"{base}/sequences/{sequence_id}/activate")
    lead_id = (await app_client.post(f"{base}/leads", json={"email": "a@lead.example"})).json()["id"]
    await app_client.post(f"{base}/enrollments", json={"sequenceId": sequence_id, "leadIds": [lead_id]})
    await run_jobs()

    (enrollment,) = (await app_client.get(f"{base}/enrollments")).json()["items"]
    explained = (await app_client.get(f"{base}/enrollments/{enrollment['id']}/explain")).json()
    jobs = (await app_client.get(f"{base}/jobs", params={"type": "send_email"})).json()["items"]

    assert explained["heldBy"] == "the workspace has no Everlytic connection"
    assert [job["status"] for job in jobs] == ["completed"]
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        assert await (await owner.execute("SELECT FROM app.send_attempts")).fetchall() == []

    username = sandbox.new_username()
    connection = {
        "transactionalUrl": f"{sandbox.url}/transactional/email/v1",
        "tenantUrl": f"{sandbox.url}/api/2.0",
        "username": username,
        "apiKey": f"sandbox-key-{username}",
    }
    assert (await app_client.put(f"{base}/everlytic-connection", json=connection)).status_code == 200
    await run_jobs()

    assert [mail["recipient"] for mail in sandbox.ask("mails", username=username)] == ["a@lead.example"]


async def test_an_enrollment_that_is_over_says_so(outreach: Outreach) -> None:
    """Completed: nothing is scheduled, and that is what is said."""
    sequence_id = await outreach.add_sequence("One")
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))

    (explained,) = await explain_all(outreach)

    assert (explained["status"], explained["heldBy"], explained["sendsAt"]) == (
        "completed",
        "the enrollment is completed",
        None,
    )
