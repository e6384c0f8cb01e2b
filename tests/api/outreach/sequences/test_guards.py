"""A sequence that bounces or is complained about pauses by itself, and says why."""

from typing import Any

import pytest

from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

HARD = {"bounce_type": "hard"}


async def limits(outreach: Outreach, **settings: object) -> None:
    """Change what the workspace puts up with."""
    response = await outreach.client.patch(outreach.path, json={"guardSample": 10, **settings})
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
    await limits(outreach, maxBounceRate=None, maxComplaintRate=None)
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
