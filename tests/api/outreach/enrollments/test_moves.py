from uuid import UUID

import pytest
from sqlalchemy import text

from api.http.resources import Services
from api.outreach.enrollment_status import service as enrollment_status
from database.tenancy import Scope, transaction
from domain.enrollment import EnrollmentEvent
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

UNKNOWN = "0190a2b0-0000-7000-8000-000000000000"


async def enrolled(outreach: Outreach, *emails: str) -> tuple[str, list[str]]:
    """Enroll leads in a sequence whose drafts wait for review; returns it and the enrollments in the leads' order."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    lead_ids = [await outreach.add_lead(email) for email in emails]
    await outreach.enroll(sequence_id, *lead_ids)
    by_lead = {one["leadId"]: one["id"] for one in (await outreach.get("/enrollments"))["items"]}
    return sequence_id, [by_lead[lead_id] for lead_id in lead_ids]


async def history(outreach: Outreach, services: Services) -> list[tuple[str, str, str, str]]:
    """Return (from, to, event, cause) of the workspace's enrollments, in order."""
    statement = text("SELECT from_status, to_status, event, cause FROM app.enrollment_events ORDER BY id")
    async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
        return [(row[0], row[1], row[2], row[3]) for row in await session.execute(statement)]


async def test_a_stopped_enrollment_is_over_with_what_it_had_to_send(outreach: Outreach, services: Services) -> None:
    """Its draft no longer waits for review, it cannot be resumed, and the history names the user and the reason."""
    _, (enrollment,) = await enrolled(outreach, "thandi@lead.example")
    me = (await outreach.client.get("/api/me")).json()["user"]["id"]

    stopped = (await outreach.post(f"/enrollments/{enrollment}/stop", {"reason": "wrong person"})).json()
    again = await outreach.client.post(f"{outreach.path}/enrollments/{enrollment}/stop")
    resumed = await outreach.client.post(f"{outreach.path}/enrollments/{enrollment}/resume")

    (draft,) = (await outreach.get("/drafts"))["items"]
    assert (stopped["status"], stopped["nextRunAt"]) == ("completed", None)
    assert stopped["completedAt"] is not None
    assert [again.status_code, resumed.status_code] == [409, 409]
    assert (draft["status"], draft["errorReason"]) == (
        "failed",
        f"the enrollment was stopped: by user {me}: wrong person",
    )
    assert await history(outreach, services) == [("active", "completed", "stopped", f"by user {me}: wrong person")]


async def test_a_no_calls_off_what_waits_for_review(outreach: Outreach) -> None:
    """When a lead unsubscribes, its drafts fail and say so, so that reviewers are not asked about them."""
    sequence_id, _ = await enrolled(outreach, "thandi@lead.example", "other@lead.example")
    lead_id = (await outreach.get("/leads", q="thandi"))["items"][0]["id"]

    await outreach.post(f"/leads/{lead_id}/unsubscribe")

    drafts = (await outreach.get("/drafts", sequenceId=sequence_id))["items"]
    assert {one["leadId"] == lead_id: one["status"] for one in drafts} == {True: "failed", False: "drafted"}
    (failed,) = [one for one in drafts if one["status"] == "failed"]
    assert failed["errorReason"].startswith("the lead has unsubscribed")


async def test_many_are_moved_with_a_row_for_each(outreach: Outreach) -> None:
    """By id each row says what became of it and where it stands; what cannot move stays as it was."""
    _, (first, second) = await enrolled(outreach, "a@lead.example", "b@lead.example")
    await outreach.post(f"/enrollments/{second}/stop")
    body = {"action": "pause", "enrollmentIds": [first, second, UNKNOWN, first]}

    result = (await outreach.post("/enrollments/bulk", body)).json()

    assert result == {
        "changed": 1,
        "unchanged": 1,
        "results": [
            {"enrollmentId": first, "outcome": "changed", "status": "paused"},
            {"enrollmentId": second, "outcome": "not_possible", "status": "completed"},
            {"enrollmentId": UNKNOWN, "outcome": "unknown", "status": None},
        ],
    }


async def test_those_of_a_sequence_are_moved_and_counted(outreach: Outreach) -> None:
    """By sequence and status only those are meant; resumed, they send what waited."""
    sequence_id, (first, second, third) = await enrolled(outreach, "a@lead.example", "b@lead.example", "c@lead.example")
    await outreach.post("/enrollments/bulk", {"action": "pause", "enrollmentIds": [first, second]})
    await outreach.post(f"/enrollments/{third}/stop")
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await outreach.run_jobs()
    assert outreach.mails() == []

    stopped = await outreach.post(
        "/enrollments/bulk", {"action": "stop", "sequenceId": sequence_id, "status": "active"}
    )
    resumed = await outreach.post("/enrollments/bulk", {"action": "resume", "sequenceId": sequence_id})
    await outreach.run_jobs()

    assert stopped.json() == {"changed": 0, "unchanged": 0, "results": []}
    assert resumed.json() == {"changed": 2, "unchanged": 1, "results": []}
    assert len(outreach.mails()) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"action": "stop"},
        {"action": "stop", "status": "active"},
        {"action": "stop", "enrollmentIds": []},
        {"action": "stop", "enrollmentIds": [UNKNOWN], "sequenceId": UNKNOWN},
        {"action": "delete", "sequenceId": UNKNOWN},
    ],
)
async def test_no_bulk_call_without_a_filter(outreach: Outreach, body: dict[str, object]) -> None:
    """A bulk call without a filter does not move all enrollments of a workspace."""
    response = await outreach.client.post(f"{outreach.path}/enrollments/bulk", json=body)

    assert (response.status_code, response.json()["code"]) == (422, "malformed")


async def test_status_and_history_are_written_together(outreach: Outreach, services: Services) -> None:
    """A transaction that fails after a move leaves neither the status, nor its history, nor a draft called off."""
    _, (enrollment,) = await enrolled(outreach, "thandi@lead.example")

    async def stop_and_fail() -> None:
        async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
            event, now = EnrollmentEvent.STOPPED, services.clock.now()
            ids = [UUID(enrollment)]
            moved = await enrollment_status.change_enrollments(
                session, outreach.workspace_id, event, ids=ids, cause="test", now=now
            )
            assert moved.ids == {UUID(enrollment)}
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await stop_and_fail()

    assert (await outreach.get(f"/enrollments/{enrollment}"))["status"] == "active"
    assert (await outreach.get("/drafts"))["items"][0]["status"] == "drafted"
    assert await history(outreach, services) == []
