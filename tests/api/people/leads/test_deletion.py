import pytest

from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio


async def test_a_deleted_lead_pauses(outreach: Outreach) -> None:
    """Nothing more goes to a deleted lead; restored, it waits until a person resumes, and then goes on."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    lead_id = await outreach.add_lead("thandi@lead.example")
    await outreach.enroll(sequence_id, lead_id)
    path = f"{outreach.path}/leads/{lead_id}"
    assert (await outreach.client.delete(path)).status_code == 204
    (paused,) = (await outreach.get("/enrollments"))["items"]
    assert (paused["status"], paused["pauseReason"]) == ("paused", "the lead was deleted")

    restored = await outreach.post(f"/leads/{lead_id}/restore")
    assert restored.json()["id"] == lead_id
    (draft,) = (await outreach.get("/drafts"))["items"]
    await outreach.post("/drafts/approve", {"draftIds": [draft["id"]]})
    await outreach.run_jobs()
    assert outreach.mails() == []
    (waiting,) = (await outreach.get("/enrollments"))["items"]
    assert waiting["status"] == "paused"

    await outreach.post(f"/enrollments/{paused['id']}/resume")
    await outreach.run_jobs()
    assert [mail["message_id"] for mail in outreach.mails()] == [draft["id"]]
    kinds = [item["data"] for item in (await outreach.get(f"/leads/{lead_id}/timeline"))["items"]]
    assert "the lead was deleted" in {data.get("cause") for data in kinds}
