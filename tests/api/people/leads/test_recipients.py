"""What comes back about a mail acts on the address that was mailed, whatever the address of its lead is now."""

from typing import Any

import httpx
import psycopg
import pytest

from tests.api.inbox.replies.test_replies import reply
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

OLD, NEW = "old.owner@kontor.example", "new.owner@andere.example"
WAYS = {
    "link": "unsubscribed",
    "unsubscribe": "unsubscribed",
    "complaint": "complaint",
    "bounce": "hard_bounce",
    "reply": "unsubscribed",
}


def link_of(mail: dict[str, Any]) -> str:
    """Return the unsubscribe link of a mail, as a path."""
    return httpx.URL(mail["custom_headers"]["List-Unsubscribe"][0].strip("<>")).path


async def say_no(outreach: Outreach, mail: dict[str, Any], way: str) -> None:
    """Say no to a mail in one of the ways."""
    if way == "link":
        response = await outreach.client.post(link_of(mail), data={"List-Unsubscribe": "One-Click"})
        assert response.status_code == 200
        assert OLD in response.text
        assert NEW not in response.text
    elif way == "reply":
        await reply(outreach, mail, "Please unsubscribe me.")
    else:
        await outreach.hear(mail, way, **({"bounce_type": "hard"} if way == "bounce" else {}))
    await outreach.run_jobs()


async def change_address(outreach: Outreach, lead_id: str) -> None:
    """Correct the address of a lead."""
    path = f"{outreach.path}/leads/{lead_id}"
    etag = (await outreach.client.get(path)).headers["ETag"]
    response = await outreach.client.patch(path, json={"email": NEW}, headers={"If-Match": etag})
    assert response.status_code == 200, response.text


async def suppressed(outreach: Outreach, value: str) -> list[str]:
    """Return the reasons of the suppressions of an address."""
    return [item["reason"] for item in (await outreach.get("/suppressions", value=value))["items"]]


@pytest.mark.parametrize("way", WAYS)
async def test_a_no_counts_for_the_address_that_was_mailed(outreach: Outreach, way: str) -> None:
    """Whichever way the holder of the old address says no after a correction, the old address is suppressed.

    The corrected address is not suppressed, but its lead stops; the old address is not imported and not mailed again.
    """
    lead_id, mail = await outreach.send_one(OLD)
    await change_address(outreach, lead_id)

    await say_no(outreach, mail, way)

    assert await suppressed(outreach, OLD) == [WAYS[way]]
    assert await suppressed(outreach, NEW) == []
    (enrolled,) = (await outreach.get("/enrollments", leadId=lead_id))["items"]
    assert enrolled["status"] in {"unsubscribed", "paused"}
    files = {"file": ("again.csv", f"email\n{OLD}\n")}
    imported = (await outreach.client.post(f"{outreach.path}/imports", files=files)).json()["id"]
    await outreach.post(f"/imports/{imported}/commit")
    await outreach.run_jobs()
    assert (await outreach.get(f"/imports/{imported}"))["suppressedCount"] == 1
    assert outreach.mails() == [mail]


async def test_the_page_shows_the_address_that_was_mailed(outreach: Outreach) -> None:
    """The holder of the old mailbox sees their own address and not that of the corrected lead."""
    lead_id, mail = await outreach.send_one(OLD)
    await change_address(outreach, lead_id)

    page = await outreach.client.get(link_of(mail))

    assert page.status_code == 200
    assert OLD in page.text
    assert NEW not in page.text


@pytest.mark.parametrize("way", WAYS)
async def test_the_lead_that_has_the_old_address_by_now_stops_too(outreach: Outreach, way: str) -> None:
    """A second lead that got the old address is stopped by a no to the mail that the first one was sent."""
    lead_id, mail = await outreach.send_one(OLD)
    await change_address(outreach, lead_id)
    holder = await outreach.add_lead(OLD)
    bystander = await outreach.add_lead("bystander@kontor.example")
    sequence_id = await outreach.add_sequence("Three", auto_approve=False)
    await outreach.enroll(sequence_id, holder, bystander)

    await say_no(outreach, mail, way)
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await outreach.run_jobs()

    (enrolled,) = (await outreach.get("/enrollments", leadId=holder))["items"]
    assert enrolled["status"] in {"unsubscribed", "paused"}
    assert [sent["recipient"] for sent in outreach.mails()] == [OLD, "bystander@kontor.example"]


async def test_a_mail_keeps_who_it_was_sent_to_and_what_it_said(outreach: Outreach, database_url: str) -> None:
    """An attempt has the canonical recipient, the subject and the version of the template, whatever changes later."""
    lead_id, mail = await outreach.send_one("Ute+B2B@BÜCHER.example")
    assert mail["recipient"] == "ute+b2b@xn--bcher-kva.example"
    await change_address(outreach, lead_id)

    with psycopg.connect(database_url) as owner:
        attempts = owner.execute("SELECT recipient, subject, length(template_version) FROM app.send_attempts")
        assert attempts.fetchall() == [("ute+b2b@bücher.example", "One", 16)]
