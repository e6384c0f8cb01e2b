import httpx
import pytest

from tests.api.running import RunJobs

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


async def test_a_draft_sequence_takes_nobody(app_client: httpx.AsyncClient, base: str) -> None:
    """Leads are enrolled in active sequences alone."""
    draft = (await app_client.post(f"{base}/sequences", json={"name": "Later"})).json()["id"]
    lead_id = await add_lead(app_client, base, "a@lead.example")

    response = await app_client.post(f"{base}/enrollments", json={"sequenceId": draft, "leadIds": [lead_id]})

    assert (response.status_code, response.json()["code"]) == (409, "conflict")


async def test_explain_names_the_binding_constraint(
    app_client: httpx.AsyncClient, base: str, sequence_id: str, run_jobs: RunJobs
) -> None:
    """Two days before the first step, the step's delay binds; a pause is named as what holds it."""
    lead_id = await add_lead(app_client, base, "a@lead.example")
    await app_client.post(f"{base}/enrollments", json={"sequenceId": sequence_id, "leadIds": [lead_id]})
    await run_jobs()
    (enrollment,) = (await app_client.get(f"{base}/enrollments")).json()["items"]
    one = f"{base}/enrollments/{enrollment['id']}"

    explained = (await app_client.get(f"{one}/explain")).json()
    await app_client.post(f"{one}/pause")
    paused = (await app_client.get(f"{one}/explain")).json()

    assert ("step_delay", None, enrollment["nextRunAt"]) == (
        explained["binding"],
        explained["heldBy"],
        explained["sendsAt"],
    )
    assert paused["heldBy"] == "the enrollment is paused"


async def test_an_illegal_move_is_a_conflict(app_client: httpx.AsyncClient, base: str, sequence_id: str) -> None:
    """An active enrollment cannot be resumed; the problem says from where it could be."""
    lead_id = await add_lead(app_client, base, "a@lead.example")
    await app_client.post(f"{base}/enrollments", json={"sequenceId": sequence_id, "leadIds": [lead_id]})
    (enrollment,) = (await app_client.get(f"{base}/enrollments")).json()["items"]

    response = await app_client.post(f"{base}/enrollments/{enrollment['id']}/resume")

    assert (response.status_code, response.json()["code"]) == (409, "invalid_transition")
    assert "paused, replied" in response.json()["detail"]
