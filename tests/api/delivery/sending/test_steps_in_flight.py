"""What happens to leads that are under way when the steps of their sequence change."""

from typing import Any

import pytest

from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio


async def steps_of(outreach: Outreach, sequence_id: str) -> dict[str, str]:
    """Return the ids of a sequence's steps by their subjects, in order."""
    return {step["subject"]: step["id"] for step in (await outreach.get(f"/sequences/{sequence_id}"))["steps"]}


async def reorder(outreach: Outreach, sequence_id: str, *subjects: str) -> None:
    """Put the steps in the order of these subjects."""
    steps = await steps_of(outreach, sequence_id)
    url = f"{outreach.path}/sequences/{sequence_id}/steps/order"
    response = await outreach.client.put(url, json={"stepIds": [steps[subject] for subject in subjects]})
    assert response.status_code == 200, response.text


async def approve_and_send(outreach: Outreach, sequence_id: str) -> list[str]:
    """Have what waits for review sent, and what follows written; returns the subjects sent so far, in order."""
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await outreach.run_jobs()
    sent = [one for one in (await outreach.get("/drafts"))["items"] if one["status"] == "sent"]
    return [one["subject"] for one in sorted(sent, key=lambda one: str(one["sentAt"]))]


async def under_way(outreach: Outreach, *subjects: str) -> str:
    """Enroll a lead in a sequence whose drafts wait for review, with the first step sent; returns the sequence."""
    sequence_id = await outreach.add_sequence(*subjects, auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    assert await approve_and_send(outreach, sequence_id) == [subjects[0]]
    return sequence_id


async def statuses(outreach: Outreach, sequence_id: str) -> dict[str, Any]:
    """Return how many enrollments are in each status."""
    found: dict[str, Any] = (await outreach.get(f"/sequences/{sequence_id}/progress"))["enrollments"]
    return found


async def test_a_lead_goes_on_in_the_new_order(outreach: Outreach) -> None:
    """After a reorder comes what follows the step last sent; each step goes out once, and the enrollment completes."""
    sequence_id = await under_way(outreach, "A", "B", "C", "D")  # B is drafted and waits
    await reorder(outreach, sequence_id, "A", "C", "B", "D")

    sent = [await approve_and_send(outreach, sequence_id) for _ in range(3)][-1]

    assert sent == ["A", "B", "D"]
    assert await statuses(outreach, sequence_id) == {"completed": 1}


async def test_a_step_that_was_sent_is_never_sent_again(outreach: Outreach) -> None:
    """With the whole order turned round, what is before or drafted already is passed over."""
    sequence_id = await under_way(outreach, "A", "B", "C")  # B is drafted and waits
    await reorder(outreach, sequence_id, "C", "B", "A")

    sent = [await approve_and_send(outreach, sequence_id) for _ in range(3)][-1]

    assert sent == ["A", "B"]
    assert len(outreach.mails()) == 2
    assert await statuses(outreach, sequence_id) == {"completed": 1}


async def test_a_step_put_in_ahead_is_sent(outreach: Outreach) -> None:
    """A step added in mid-flight and moved to after the one that waits comes next."""
    sequence_id = await under_way(outreach, "A", "B", "C")  # B is drafted and waits
    await outreach.post(f"/sequences/{sequence_id}/steps", {"subject": "New", "bodyTemplate": "Hello"})
    await reorder(outreach, sequence_id, "A", "B", "New", "C")

    sent = [await approve_and_send(outreach, sequence_id) for _ in range(4)][-1]

    assert sent == ["A", "B", "New", "C"]
    assert await statuses(outreach, sequence_id) == {"completed": 1}


async def test_explain_shows_where_a_step_stands_now(outreach: Outreach) -> None:
    """The place of the step that waits is told by the order as it is."""
    sequence_id = await under_way(outreach, "A", "B", "C")
    await reorder(outreach, sequence_id, "C", "A", "B")
    (enrollment,) = (await outreach.get("/enrollments"))["items"]

    explained = await outreach.get(f"/enrollments/{enrollment['id']}/explain")

    assert (explained["stepOrder"], explained["stepId"]) == (3, (await steps_of(outreach, sequence_id))["B"])


async def test_what_was_drafted_stays_as_it_was_written(outreach: Outreach) -> None:
    """Editing a step of an active sequence changes neither text nor time of its drafts, waiting or sent."""
    sequence_id = await under_way(outreach, "A", "B", "C")
    before = (await outreach.get("/drafts"))["items"]
    for step_id in (await steps_of(outreach, sequence_id)).values():
        url = f"{outreach.path}/sequences/{sequence_id}/steps/{step_id}"
        body = {"subject": "Other", "bodyTemplate": "Other words", "delayDays": 9}
        assert (await outreach.client.patch(url, json=body)).status_code == 200

    assert (await outreach.get("/drafts"))["items"] == before
    await approve_and_send(outreach, sequence_id)
    assert [mail["subject"] for mail in outreach.mails()] == ["A", "B"]


async def test_a_step_with_drafts_is_not_deleted(outreach: Outreach) -> None:
    """A step that a draft refers to is not deleted; one without drafts is."""
    sequence_id = await under_way(outreach, "A", "B", "C")
    steps = await steps_of(outreach, sequence_id)

    answers = {
        subject: await outreach.client.delete(f"{outreach.path}/sequences/{sequence_id}/steps/{step_id}")
        for subject, step_id in steps.items()
    }

    assert {subject: answer.status_code for subject, answer in answers.items()} == {"A": 409, "B": 409, "C": 204}
    assert "This step has drafts." in answers["A"].json()["detail"]


async def test_a_deleted_sequence_sends_nothing_more(outreach: Outreach) -> None:
    """What was approved stays unsent and says why, its enrollment is over, and what was sent stays on record."""
    sequence_id = await under_way(outreach, "A", "B")
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    deleted = await outreach.client.delete(f"{outreach.path}/sequences/{sequence_id}")
    await outreach.run_jobs()

    assert deleted.status_code == 204
    assert [mail["subject"] for mail in outreach.mails()] == ["A"]
    drafts = {one["subject"]: (one["status"], one["errorReason"]) for one in (await outreach.get("/drafts"))["items"]}
    (enrollment,) = (await outreach.get("/enrollments"))["items"]
    assert drafts == {"A": ("sent", None), "B": ("failed", "the sequence was deleted")}
    assert enrollment["status"] == "completed"
