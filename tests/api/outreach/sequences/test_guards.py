"""A sequence that bounces or is complained about pauses by itself, and says why."""

from typing import Any

import pytest

from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

HARD = {"bounce_type": "hard"}


async def limits(outreach: Outreach, **settings: object) -> None:
    """Change what the workspace puts up with."""
    body = {"guardSample": 10, "complaintSample": 10, "maxDailyComplaints": None, **settings}
    response = await outreach.client.patch(outreach.path, json=body)
    assert response.status_code == 200, response.text


async def send(outreach: Outreach, sequence_id: str, *names: str) -> list[dict[str, Any]]:
    """Send one mail to each of these new leads; returns what the sandbox took of them."""
    await outreach.enroll(sequence_id, *[await outreach.add_lead(f"{name}@lead.example") for name in names])
    sent = {mail["recipient"].partition("@")[0]: mail for mail in outreach.mails()}
    return [sent[name] for name in names]


async def standing(outreach: Outreach, sequence_id: str) -> tuple[str, str | None]:
    """Return the status of a sequence, and why it is paused."""
    sequence = await outreach.get(f"/sequences/{sequence_id}")
    return sequence["status"], sequence["pauseReason"]


async def test_bounces_pause_the_sequence(outreach: Outreach) -> None:
    """One bounce more than the rate allows pauses this sequence, with the figures as the reason, and no other."""
    await limits(outreach, maxBounceRate=0.2)
    sequence_id, other = [await outreach.add_sequence("One") for _ in range(2)]
    mails = await send(outreach, sequence_id, *"abcd")
    for mail in mails[:2]:
        await outreach.hear(mail, "bounce", **HARD)
    assert await standing(outreach, sequence_id) == ("Active", None)

    await outreach.hear(mails[2], "bounce", **HARD)

    reason = "paused by the bounce guard: 3 of the last 4 mails bounced (more than 20 % of 10)"
    assert await standing(outreach, sequence_id) == ("Paused", reason)
    assert await standing(outreach, other) == ("Active", None)
    listed = {one["id"]: one["pauseReason"] for one in (await outreach.get("/sequences"))["items"]}
    assert listed == {sequence_id: reason, other: None}


async def test_complaints_pause_the_sequence(outreach: Outreach) -> None:
    """Complaints are counted by themselves, against their own rate."""
    await limits(outreach, maxBounceRate=None, maxComplaintRate=0.1)
    sequence_id = await outreach.add_sequence("One")
    mails = await send(outreach, sequence_id, *"abc")
    await outreach.hear(mails[0], "bounce", **HARD)
    await outreach.hear(mails[1], "complaint")
    assert await standing(outreach, sequence_id) == ("Active", None)

    await outreach.hear(mails[2], "complaint")

    reason = "paused by the complaint guard: 2 of the last 3 mails were complained about (more than 10 % of 10)"
    assert await standing(outreach, sequence_id) == ("Paused", reason)


async def test_a_new_workspace_has_strict_guards(outreach: Outreach) -> None:
    """By default a sequence may bounce 5 % of 200 mails, and pauses at the second complaint of 1,000 mails."""
    settings = (await outreach.client.get(outreach.path)).json()
    names = ("guardSample", "maxBounceRate", "complaintSample", "maxComplaintRate", "maxDailyComplaints")
    assert [settings[name] for name in names] == [200, 0.05, 1000, 0.001, 3]
    sequence_id = await outreach.add_sequence("One")
    first, second = await send(outreach, sequence_id, *"ab")
    await outreach.hear(first, "complaint")
    assert await standing(outreach, sequence_id) == ("Active", None)

    await outreach.hear(second, "complaint")

    reason = "paused by the complaint guard: 2 of the last 2 mails were complained about (more than 0.1 % of 1000)"
    assert await standing(outreach, sequence_id) == ("Paused", reason)


async def test_bounces_and_complaints_have_their_own_samples(outreach: Outreach) -> None:
    """A mail that is too old for the bounce rate still counts for the complaint rate."""
    await limits(outreach, maxBounceRate=0, complaintSample=20, maxComplaintRate=0)
    sequence_id = await outreach.add_sequence("One")
    (old,) = await send(outreach, sequence_id, "old")
    await send(outreach, sequence_id, *"abcdefghij")
    await outreach.hear(old, "bounce", **HARD)
    assert await standing(outreach, sequence_id) == ("Active", None)

    await outreach.hear(old, "complaint")

    reason = "paused by the complaint guard: 1 of the last 11 mails were complained about (more than 0 % of 20)"
    assert await standing(outreach, sequence_id) == ("Paused", reason)


@pytest.mark.parametrize(("heard", "pauses"), [(2, False), (3, True), (4, True)])
async def test_three_complaints_on_one_day_pause_the_sequence(outreach: Outreach, heard: int, *, pauses: bool) -> None:
    """Whatever the rate, the third complaint of a day pauses this sequence, `explain` says why, and another goes on."""
    await limits(outreach, maxComplaintRate=1, maxDailyComplaints=3)
    sequence_id, other = [await outreach.add_sequence("One") for _ in range(2)]
    step = {"subject": "Two", "bodyTemplate": "Hello again", "delayDays": 5}
    await outreach.post(f"/sequences/{sequence_id}/steps", step)
    mails = await send(outreach, sequence_id, *"abcde")
    (beside,) = await send(outreach, other, "f")
    await outreach.hear(beside, "complaint")
    for mail in mails[:heard]:
        await outreach.hear(mail, "complaint")

    status, reason = await standing(outreach, sequence_id)
    assert status == ("Paused" if pauses else "Active")
    assert await standing(outreach, other) == ("Active", None)
    waiting = await outreach.get("/enrollments", sequenceId=sequence_id, status="active")
    enrollment = waiting["items"][0]
    holds = (await outreach.get(f"/enrollments/{enrollment['id']}/explain"))["holds"]
    if pauses:
        assert reason is not None
        assert reason.startswith("paused by the complaint guard: 3 mails were complained about on 20")
        assert reason.endswith(" (limit 3 a day)")
        assert f"the sequence is Paused ({reason})" in holds
    else:
        assert reason is None
        assert not any("Paused" in hold for hold in holds)


async def test_a_mail_bounces_once(outreach: Outreach) -> None:
    """Pushed twice, told in other words, and bounced again later: it is one mail."""
    await limits(outreach, maxBounceRate=0.1)
    sequence_id = await outreach.add_sequence("One")
    (mail,) = await send(outreach, sequence_id, "a")
    outreach.fault("duplicate_webhooks")

    for reason in ("mailbox gone", "no such user", "mailbox gone"):
        await outreach.hear(mail, "bounce", **HARD, bounce_reason=reason)
        await outreach.hear(mail, "failed")

    assert await standing(outreach, sequence_id) == ("Active", None)


async def test_a_delay_is_no_bounce(outreach: Outreach) -> None:
    """A soft bounce counts as the figures count it: not once the mail was delivered after all."""
    await limits(outreach, maxBounceRate=0.1)
    outreach.fault("accepted_no_events")  # else the sandbox delivers each mail by itself in the end
    sequence_id = await outreach.add_sequence("One")
    first, second, third = await send(outreach, sequence_id, *"abc")
    await outreach.hear(first, "bounce", bounce_type="soft")
    outreach.sandbox.advance(2)
    await outreach.hear(first, "delivered")
    await outreach.hear(second, "bounce", bounce_type="soft")
    assert await standing(outreach, sequence_id) == ("Active", None)

    await outreach.hear(third, "bounce", bounce_type="soft")

    assert (await standing(outreach, sequence_id))[0] == "Paused"


async def test_a_guard_can_be_off(outreach: Outreach) -> None:
    """Without rates everything may bounce."""
    await limits(outreach, maxBounceRate=None, maxComplaintRate=None, maxDailyComplaints=None)
    sequence_id = await outreach.add_sequence("One")
    for mail in await send(outreach, sequence_id, *"abc"):
        await outreach.hear(mail, "bounce", **HARD)
        await outreach.hear(mail, "complaint")
    assert await standing(outreach, sequence_id) == ("Active", None)


async def test_only_the_last_mails_count(outreach: Outreach) -> None:
    """A mail that is older than the sample is not looked at, however late its bounce comes."""
    await limits(outreach, maxBounceRate=0)
    sequence_id = await outreach.add_sequence("One")
    (old,) = await send(outreach, sequence_id, "old")
    *_, newest = await send(outreach, sequence_id, *"abcdefghij")
    await outreach.hear(old, "bounce", **HARD)
    assert await standing(outreach, sequence_id) == ("Active", None)

    await outreach.hear(newest, "bounce", **HARD)

    reason = "paused by the bounce guard: 1 of the last 10 mails bounced (more than 0 %)"
    assert await standing(outreach, sequence_id) == ("Paused", reason)


async def test_who_activates_it_again_starts_afresh(outreach: Outreach) -> None:
    """After an activation nothing that was sent before it counts, late bounces included; what is sent then does."""
    await limits(outreach, maxBounceRate=0.1)
    sequence_id = await outreach.add_sequence("One")
    before = await send(outreach, sequence_id, *"abcd")
    for mail in before[:2]:
        await outreach.hear(mail, "bounce", **HARD)
    assert (await standing(outreach, sequence_id))[0] == "Paused"

    await outreach.post(f"/sequences/{sequence_id}/activate")
    assert await standing(outreach, sequence_id) == ("Active", None)
    for mail in before[2:]:
        await outreach.hear(mail, "bounce", **HARD)
    assert await standing(outreach, sequence_id) == ("Active", None)
    for mail in await send(outreach, sequence_id, *"ef"):
        await outreach.hear(mail, "bounce", **HARD)

    reason = "paused by the bounce guard: 2 of the last 2 mails bounced (more than 10 % of 10)"
    assert await standing(outreach, sequence_id) == ("Paused", reason)


async def test_a_pause_by_hand_needs_no_reason(outreach: Outreach) -> None:
    """A person who pauses a sequence that was activated again leaves no guard's words on it."""
    await limits(outreach, maxBounceRate=0)
    sequence_id = await outreach.add_sequence("One")
    (mail,) = await send(outreach, sequence_id, "a")
    await outreach.hear(mail, "bounce", **HARD)
    assert (await standing(outreach, sequence_id))[1] is not None
    await outreach.post(f"/sequences/{sequence_id}/activate")

    await outreach.post(f"/sequences/{sequence_id}/pause")

    assert await standing(outreach, sequence_id) == ("Paused", None)


async def test_a_guard_stops_the_next_mail(outreach: Outreach) -> None:
    """A mail that was approved before the pause waits, and is sent when a user activates the sequence again."""
    await limits(outreach, maxBounceRate=0)
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, *[await outreach.add_lead(f"{name}@lead.example") for name in "ab"])
    first, second = (await outreach.get("/drafts"))["items"]
    await outreach.post(f"/drafts/{first['id']}/approve")
    await outreach.run_jobs()
    (mail,) = outreach.mails()
    await outreach.hear(mail, "bounce", **HARD)

    await outreach.post(f"/drafts/{second['id']}/approve")
    await outreach.run_jobs()
    assert len(outreach.mails()) == 1
    explained = await outreach.get(f"/enrollments/{second['enrollmentId']}/explain")
    assert "the sequence is Paused" in explained["heldBy"]
    await outreach.post(f"/sequences/{sequence_id}/activate")
    await outreach.run_jobs()

    assert len(outreach.mails()) == 2
