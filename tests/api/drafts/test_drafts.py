import httpx
import pytest

from tests.api.outreach import Outreach

pytestmark = pytest.mark.anyio


@pytest.fixture
async def draft(outreach: Outreach) -> str:
    """Have one draft written that waits for review, and return its path."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    (written,) = (await outreach.get("/drafts"))["items"]
    return f"/drafts/{written['id']}"


async def test_a_draft_says_how_it_was_written(outreach: Outreach, draft: str) -> None:
    """Without a model the template stands, rendered for the lead, and the record says so."""
    written = await outreach.get(draft)

    assert (written["status"], written["body"].strip()) == ("drafted", "Hello Thandi, how are you?")
    assert written["generation"]["model"] is None


async def test_a_draft_is_approved_once(outreach: Outreach, draft: str) -> None:
    """A second approval is a conflict, so that two reviewers cannot both send."""
    await outreach.post(f"{draft}/approve")

    response = await outreach.client.post(f"{outreach.path}{draft}/approve")

    assert response.status_code == 409


async def test_a_sent_draft_cannot_be_changed(outreach: Outreach, draft: str) -> None:
    """What went out stays as it was."""
    await outreach.post(f"{draft}/approve")
    await outreach.run_jobs()

    edited = await outreach.client.patch(f"{outreach.path}{draft}", json={"subject": "Other"})
    again = await outreach.client.post(f"{outreach.path}{draft}/regenerate")

    assert [edited.status_code, again.status_code] == [409, 409]
    assert (await outreach.get(draft))["subject"] == "One"


async def test_a_draft_can_be_written_again(outreach: Outreach, draft: str) -> None:
    """Regeneration takes an edited draft back to what is written from the step."""
    await outreach.client.patch(f"{outreach.path}{draft}", json={"subject": "Other"})

    await outreach.post(f"{draft}/regenerate")
    await outreach.run_jobs()

    assert ((await outreach.get(draft))["status"], (await outreach.get(draft))["subject"]) == ("drafted", "One")


async def test_a_blank_variable_is_a_failure_with_a_reason(outreach: Outreach) -> None:
    """A lead without a first name does not get 'Hello ,': the draft fails and names the variable."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    made = await outreach.post("/leads", {"email": "nameless@lead.example"})

    await outreach.enroll(sequence_id, made.json()["id"])

    (written,) = (await outreach.get("/drafts"))["items"]
    assert written["status"] == "failed"
    assert "first_name" in written["errorReason"]


async def test_an_unknown_draft_is_not_found(app_client: httpx.AsyncClient, workspace: str) -> None:
    """An id that nobody has is a 404 problem."""
    response = await app_client.get(f"/api/workspaces/{workspace}/drafts/0190a2b0-0000-7000-8000-000000000000")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
