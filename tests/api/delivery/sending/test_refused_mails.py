"""Mails that Everlytic refuses for their content: nothing was sent, so they can be corrected and sent."""

from typing import Any

import pytest

from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

REFUSE = "refused_content"


async def add_refused(outreach: Outreach, number: int = 1) -> tuple[str, list[dict[str, Any]]]:
    """Have Everlytic refuse a mail to each of so many leads; returns the sequence and the drafts."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    leads = [await outreach.add_lead(f"lead{lead}@lead.example") for lead in range(number)]
    await outreach.enroll(sequence_id, *leads)
    outreach.fault(REFUSE)
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await outreach.run_jobs()
    outreach.fault(REFUSE, 0)
    return sequence_id, (await outreach.get("/drafts", sequenceId=sequence_id))["items"]


@pytest.mark.parametrize("change", ["edit", "regenerate"])
async def test_a_refused_mail_is_corrected_and_sent(outreach: Outreach, change: str) -> None:
    """An edit or a new text of a refused mail waits for review, and after approval the mail is sent once."""
    sequence_id, (draft,) = await add_refused(outreach)
    assert (draft["status"], outreach.mails()) == ("failed", [])
    assert draft["errorReason"]

    if change == "edit":
        path = f"{outreach.path}/drafts/{draft['id']}"
        shown = await outreach.client.get(path)
        edited = await outreach.client.patch(
            path, json={"body": "Shorter."}, headers={"If-Match": shown.headers["ETag"]}
        )
        assert edited.is_success, edited.text
    else:
        await outreach.post(f"/drafts/{draft['id']}/regenerate")
        await outreach.run_jobs()
    waiting = await outreach.get(f"/drafts/{draft['id']}")
    assert (waiting["status"], waiting["errorReason"]) == ("drafted", None)
    assert outreach.mails() == []

    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await outreach.run_jobs()
    (mail,) = outreach.mails()
    assert mail["message_id"] == draft["id"]
    assert (await outreach.get(f"/drafts/{draft['id']}"))["status"] == "sent"


@pytest.mark.parametrize("number", [2, 3])
async def test_three_equal_refusals_pause_the_sequence(outreach: Outreach, number: int) -> None:
    """Two refusals leave a sequence active; the third with the same sentence pauses it, and `explain` gives it."""
    sequence_id, drafts = await add_refused(outreach, number)
    sequence = await outreach.get(f"/sequences/{sequence_id}")
    assert [draft["status"] for draft in drafts] == ["failed"] * number
    assert sequence["status"] == ("Paused" if number == 3 else "Active")
    if number == 3:
        assert sequence["pauseReason"].startswith("Everlytic refused the last 3 mails: ")
        enrollment_id = drafts[0]["enrollmentId"]
        explained = await outreach.get(f"/enrollments/{enrollment_id}/explain")
        assert any(sequence["pauseReason"] in hold for hold in explained["holds"]), explained
