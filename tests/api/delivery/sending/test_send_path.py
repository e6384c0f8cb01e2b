from datetime import timedelta
from typing import Any

import httpx
import pytest

from api.http.resources import Services
from tests.api.delivery.unresolved_sends.worlds import behave, look_now, one_of
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio


async def drafts_of(outreach: Outreach) -> list[dict[str, Any]]:
    """Return the workspace's drafts in the order of their steps."""
    return sorted((await outreach.get("/drafts"))["items"], key=lambda draft: draft["stepOrder"])


async def test_a_lead_goes_through_all_steps(outreach: Outreach) -> None:
    """Each step is drafted and sent once, in order, with a link of its own to unsubscribe; the enrollment completes."""
    sequence_id = await outreach.add_sequence("One", "Two", "Three")
    lead_id = await outreach.add_lead("thandi@lead.example")

    await outreach.enroll(sequence_id, lead_id)

    assert [(draft["status"], draft["subject"]) for draft in await drafts_of(outreach)] == [
        ("sent", "One"),
        ("sent", "Two"),
        ("sent", "Three"),
    ]
    mails = outreach.mails()
    assert [mail["subject"] for mail in mails] == ["One", "Two", "Three"]
    headers = [mail["custom_headers"] for mail in mails]
    assert [one["List-Unsubscribe-Post"] for one in headers] == [["List-Unsubscribe=One-Click"]] * 3
    assert len({one["List-Unsubscribe"][0] for one in headers}) == 3
    assert [mail["message_id"] for mail in mails] == [draft["id"] for draft in await drafts_of(outreach)]
    assert (await outreach.get(f"/sequences/{sequence_id}/progress"))["enrollments"] == {"completed": 1}
    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Contacted"


async def test_nothing_goes_out_before_review(outreach: Outreach) -> None:
    """Without auto-approval a draft waits for a person, and goes out once approved."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))

    assert outreach.mails() == []
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await outreach.run_jobs()

    assert len(outreach.mails()) == 1


async def test_an_edited_draft_is_what_goes_out(outreach: Outreach) -> None:
    """What the reviewer wrote is mailed, with footer and unsubscribe link in both parts."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    (draft,) = await drafts_of(outreach)
    change = await outreach.client.patch(f"{outreach.path}/drafts/{draft['id']}", json={"body": "Mine <own> words"})
    assert change.status_code == 200

    await outreach.post(f"/drafts/{draft['id']}/approve")
    await outreach.run_jobs()

    (mail,) = outreach.mails()
    assert "Mine <own> words" in mail["text"]
    assert "Mine &lt;own&gt; words" in mail["html"]
    for part in (mail["text"], mail["html"]):
        assert "1 Long Street" in part
        assert mail["custom_headers"]["List-Unsubscribe"][0].strip("<>") in part


@pytest.mark.parametrize("fault", ["timeout_after_accept", "reset_after_accept", "bad_request_but_delivered"])
async def test_an_unknown_outcome_is_never_sent_again(outreach: Outreach, fault: str, database_url: str) -> None:
    """A call that never answered is looked up, found accepted, and the lead is mailed exactly once."""
    sequence_id = await outreach.add_sequence("One")
    behave(outreach, fault, "accepted_no_events", lists=False)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    (draft,) = await drafts_of(outreach)
    assert (draft["status"], (await one_of(outreach, draft["id"]))["lookUps"]) == ("reviewed", 0)

    behave(outreach, lists=True)
    await look_now(outreach, database_url)

    (draft,) = await drafts_of(outreach)
    assert (draft["status"], len(outreach.mails())) == ("sent", 1)


async def test_a_refused_call_is_made_again(outreach: Outreach, services: Services) -> None:
    """A 429 says that nothing was taken, so the mail goes out later, once."""
    sequence_id = await outreach.add_sequence("One")
    outreach.fault("rate_limited")
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    assert outreach.mails() == []
    (job,) = (await outreach.get("/jobs", type="send_email"))["items"]
    assert job["status"] == "pending"
    assert job["lastError"]

    outreach.fault("rate_limited", 0)
    services.clock.virtual_start += timedelta(minutes=6)
    await outreach.run_jobs()

    assert [mail["subject"] for mail in outreach.mails()] == ["One"]
    assert [draft["status"] for draft in await drafts_of(outreach)] == ["sent"]


async def test_no_lead_is_mailed_after_an_unsubscribe(outreach: Outreach) -> None:
    """Between approval and sending the lead unsubscribes: the claim sees it and nothing goes out."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    lead_id = await outreach.add_lead("thandi@lead.example")
    await outreach.enroll(sequence_id, lead_id)
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await outreach.post(f"/leads/{lead_id}/unsubscribe")

    await outreach.run_jobs()

    assert outreach.mails() == []
    assert (await outreach.get(f"/sequences/{sequence_id}/progress"))["enrollments"] == {"unsubscribed": 1}


async def test_a_suppressed_domain_is_never_mailed(outreach: Outreach) -> None:
    """A domain suppressed after approval: the draft says why it failed, and the enrollment waits for a person."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await outreach.post("/suppressions", {"domain": "lead.example"})

    await outreach.run_jobs()

    assert outreach.mails() == []
    (draft,) = await drafts_of(outreach)
    (enrollment,) = (await outreach.get("/enrollments"))["items"]
    assert (draft["status"], draft["errorReason"]) == ("failed", "the address is suppressed")
    assert (enrollment["status"], enrollment["pauseReason"]) == ("paused", "the address is suppressed")


async def test_a_pause_holds_and_a_resume_takes_up(outreach: Outreach) -> None:
    """A paused enrollment sends nothing; resumed, it sends what waited."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    (enrollment,) = (await outreach.get("/enrollments"))["items"]
    await outreach.post(f"/enrollments/{enrollment['id']}/pause")
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await outreach.run_jobs()
    assert outreach.mails() == []

    await outreach.post(f"/enrollments/{enrollment['id']}/resume")
    await outreach.run_jobs()

    assert len(outreach.mails()) == 1


async def test_one_click_unsubscribe_stops_the_sequence(outreach: Outreach, served: str) -> None:
    """Opening the link changes nothing; the one-click POST of RFC 8058 needs no login, and no further step is sent."""
    lead_id, mail = await outreach.send_one()
    (enrollment,) = (await outreach.get("/enrollments"))["items"]
    link = mail["custom_headers"]["List-Unsubscribe"][0].strip("<>")

    async with httpx.AsyncClient(timeout=30) as stranger:
        shown = await stranger.get(link)
        assert shown.status_code == 200
        assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Contacted"
        assert (await outreach.get("/enrollments"))["items"] == [enrollment]
        assert (await outreach.get("/suppressions"))["items"] == []
        acted = await stranger.post(link, data={"List-Unsubscribe": "One-Click"})

    assert acted.status_code == 200
    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Unsubscribed"
    (suppression,) = (await outreach.get("/suppressions"))["items"]
    assert suppression["reason"] == "unsubscribed"
    assert (await outreach.get(f"/enrollments/{enrollment['id']}"))["status"] == "unsubscribed"
    await outreach.client.post(f"{outreach.path}/drafts/approve", json={"sequenceId": enrollment["sequenceId"]})
    await outreach.run_jobs()
    assert [sent["message_id"] for sent in outreach.mails()] == [mail["message_id"]]
