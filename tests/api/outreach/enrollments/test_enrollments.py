import asyncio
from datetime import UTC, datetime

import httpx
import pytest

from api.http.resources import Services
from tests.api.running import stop_clock

pytestmark = pytest.mark.anyio


@pytest.fixture
def base(workspace: str) -> str:
    """The workspace's path."""
    return f"/api/workspaces/{workspace}"


@pytest.fixture
async def sequence_id(app_client: httpx.AsyncClient, base: str) -> str:
    """Make an active sequence whose first step goes out after two days."""
    made: str = (await app_client.post(f"{base}/sequences", json={"name": "Spring"})).json()["id"]
    step = {"subject": "One", "bodyTemplate": "Hi {{ first_name }}", "delayDays": 2}
    await app_client.post(f"{base}/sequences/{made}/steps", json=step)
    await app_client.post(f"{base}/sequences/{made}/activate")
    return made


async def add_lead(client: httpx.AsyncClient, base: str, email: str) -> str:
    """Make a lead and return its id."""
    lead_id: str = (await client.post(f"{base}/leads", json={"email": email, "firstName": "A"})).json()["id"]
    return lead_id


async def test_who_is_skipped_is_said_by_reason(app_client: httpx.AsyncClient, base: str, sequence_id: str) -> None:
    """Unsubscribed, suppressed, unknown and already enrolled leads are counted apart; the rest are enrolled."""
    fresh, no, blocked = [await add_lead(app_client, base, f"{name}@lead.example") for name in ("a", "b", "c")]
    await app_client.post(f"{base}/leads/{no}/unsubscribe")
    await app_client.post(f"{base}/suppressions", json={"email": "c@lead.example", "reason": "manual"})
    body = {"sequenceId": sequence_id, "leadIds": [fresh, no, blocked, "0190a2b0-0000-7000-8000-000000000000"]}

    first = (await app_client.post(f"{base}/enrollments", json=body)).json()
    second = (await app_client.post(f"{base}/enrollments", json=body)).json()

    assert first == {"enrolled": 1, "skipped": {"unsubscribed": 1, "suppressed": 1, "unknown": 1}}
    assert second == {
        "enrolled": 0,
        "skipped": {"already_enrolled": 1, "unsubscribed": 1, "suppressed": 1, "unknown": 1},
    }
    enrollments = (await app_client.get(f"{base}/enrollments")).json()["items"]
    assert [(enrollment["leadId"], enrollment["status"]) for enrollment in enrollments] == [(fresh, "active")]


async def test_a_draft_sequence_enrolls_no_lead(app_client: httpx.AsyncClient, base: str) -> None:
    """Leads are enrolled in active sequences only."""
    draft = (await app_client.post(f"{base}/sequences", json={"name": "Later"})).json()["id"]
    lead_id = await add_lead(app_client, base, "a@lead.example")

    response = await app_client.post(f"{base}/enrollments", json={"sequenceId": draft, "leadIds": [lead_id]})

    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert (await app_client.get(f"{base}/enrollments")).json()["items"] == []


async def test_an_illegal_move_is_a_conflict(app_client: httpx.AsyncClient, base: str, sequence_id: str) -> None:
    """An active enrollment cannot be resumed; the problem says from where it could be."""
    lead_id = await add_lead(app_client, base, "a@lead.example")
    await app_client.post(f"{base}/enrollments", json={"sequenceId": sequence_id, "leadIds": [lead_id]})
    (enrollment,) = (await app_client.get(f"{base}/enrollments")).json()["items"]

    response = await app_client.post(f"{base}/enrollments/{enrollment['id']}/resume")

    assert (response.status_code, response.json()["code"]) == (409, "invalid_transition")
    assert response.json()["detail"] == "This enrollment is already active."
    assert (await app_client.get(f"{base}/enrollments")).json()["items"] == [enrollment]


async def test_an_unknown_list_is_not_found(app_client: httpx.AsyncClient, base: str, sequence_id: str) -> None:
    """A list that is not there is said to be so, not taken for an empty one."""
    body = {"sequenceId": sequence_id, "listId": "0190a2b0-0000-7000-8000-000000000000"}

    response = await app_client.post(f"{base}/enrollments", json=body)

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_a_whole_list_is_enrolled_in_the_zones_of_its_leads(
    app_client: httpx.AsyncClient, base: str, sequence_id: str, services: Services
) -> None:
    """All leads of a list are enrolled, and no other; each by its own clock or, without one, by the workspace's."""
    stop_clock(services.clock, datetime(2026, 3, 2, 12, 30, tzinfo=UTC))
    list_id = (await app_client.post(f"{base}/lead-lists", json={"name": "Fair"})).json()["id"]
    window = {"windowStart": "08:00:00", "windowEnd": "17:00:00", "timezone": "UTC"}
    assert (await app_client.patch(base, json=window)).is_success
    lead_ids = []
    for email, zone in (("a@lead.example", None), ("b@lead.example", "Asia/Tokyo")):
        made = await app_client.post(f"{base}/leads", json={"email": email, "timezone": zone, "listId": list_id})
        assert made.status_code == 201
        lead_ids.append(made.json()["id"])
    await add_lead(app_client, base, "elsewhere@lead.example")

    result = (await app_client.post(f"{base}/enrollments", json={"sequenceId": sequence_id, "listId": list_id})).json()

    enrollments = (await app_client.get(f"{base}/enrollments")).json()["items"]
    assert result == {"enrolled": 2, "skipped": {}}
    # Two days later it is 12:30 in UTC, and in Tokyo 21:30, so that the window opens there at 8 the day after.
    due = [datetime(2026, 3, 4, 12, 30, tzinfo=UTC), datetime(2026, 3, 4, 23, tzinfo=UTC)]
    times = {enrollment["leadId"]: datetime.fromisoformat(enrollment["nextRunAt"]) for enrollment in enrollments}
    assert (len(enrollments), times) == (2, dict(zip(lead_ids, due, strict=True)))


async def test_two_who_enroll_the_same_leads_enroll_each_once(
    app_client: httpx.AsyncClient, base: str, sequence_id: str
) -> None:
    """Concurrent calls share the leads between them; each lead that another took is counted as enrolled before."""
    lead_ids = [await add_lead(app_client, base, f"l{number}@lead.example") for number in range(20)]
    bodies = [{"sequenceId": sequence_id, "leadIds": some} for some in (lead_ids, lead_ids[::-1], lead_ids)]

    answers = await asyncio.gather(*(app_client.post(f"{base}/enrollments", json=body) for body in bodies))

    results = [answer.json() for answer in answers]
    assert sum(result["enrolled"] for result in results) == 20
    for result in results:
        before = 20 - result["enrolled"]
        assert result["skipped"] == ({"already_enrolled": before} if before else {})
    enrollments = (await app_client.get(f"{base}/enrollments")).json()["items"]
    assert sorted(enrollment["leadId"] for enrollment in enrollments) == sorted(lead_ids)


async def test_no_lead_enters_a_sequence_that_is_being_deleted(
    app_client: httpx.AsyncClient, base: str, sequence_id: str
) -> None:
    """Enrolled before the deletion or after it: either way no enrollment is left that could still move."""
    lead_ids = [await add_lead(app_client, base, f"l{number}@lead.example") for number in range(20)]
    enrolling = [
        app_client.post(f"{base}/enrollments", json={"sequenceId": sequence_id, "leadIds": [lead_id]})
        for lead_id in lead_ids
    ]

    answers = await asyncio.gather(*enrolling, app_client.delete(f"{base}/sequences/{sequence_id}"))

    assert answers[-1].status_code == 204
    assert {answer.status_code for answer in answers[:-1]} <= {201, 404}
    enrollments = (await app_client.get(f"{base}/enrollments")).json()["items"]
    drafts = (await app_client.get(f"{base}/drafts")).json()["items"]
    assert len(enrollments) == sum(answer.json().get("enrolled", 0) for answer in answers[:-1])
    assert {one["status"] for one in enrollments} <= {"completed"}
    assert {(one["status"], one["errorReason"]) for one in drafts} <= {("failed", "the sequence was deleted")}
