"""A suppression of one spelling of a person's address covers all others: tags after a plus, and dots at Gmail."""

from typing import Any

import httpx
import pytest

from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

SPELLINGS = [
    ("anna+news@x.example", "anna@x.example"),
    ("anna@x.example", "anna+news@x.example"),
    ("anna+news@x.example", "Anna+Other@X.example"),
    ("anna+news@xn--bcher-kva.example", "anna@bücher.example"),
    ("an.na@gmail.com", "anna+x@googlemail.com"),
]
OTHERS = ["a.nna@x.example", "annanews@x.example", "anna+news@x.example.org", "joe@gmail.com"]


async def send_step(outreach: Outreach, *lead_ids: str) -> list[str]:
    """Enroll leads in a sequence that sends at once; return the addresses that were mailed by it, in order."""
    before = len(outreach.mails())
    sequence_id = await outreach.add_sequence("One")
    await outreach.post("/enrollments", {"sequenceId": sequence_id, "leadIds": list(lead_ids)})
    await outreach.run_jobs()
    return sorted(mail["recipient"] for mail in outreach.mails()[before:])


async def press_link(mail: dict[str, Any]) -> None:
    """Unsubscribe by one click, as a mail program does."""
    link = mail["custom_headers"]["List-Unsubscribe"][0].strip("<>")
    async with httpx.AsyncClient(timeout=30) as stranger:
        assert (await stranger.post(link, data={"List-Unsubscribe": "One-Click"})).status_code == 200


@pytest.mark.parametrize(("said", "mailed"), SPELLINGS)
async def test_a_manual_entry_covers_all_spellings(outreach: Outreach, said: str, mailed: str) -> None:
    """Leads with another spelling are not mailed, other people are; the list shows what was entered, found by both."""
    added = (await outreach.post("/suppressions", {"email": said})).json()
    again = await outreach.client.post(f"{outreach.path}/suppressions", json={"email": mailed})

    assert (again.status_code, again.json()) == (200, added)
    for value in (said, mailed):
        (found,) = (await outreach.get("/suppressions", value=value))["items"]
        assert found == added
    lead_id = await outreach.add_lead(mailed)
    others = [await outreach.add_lead(other) for other in OTHERS]
    assert (await outreach.get(f"/leads/{lead_id}"))["suppressed"] is True
    assert await send_step(outreach, lead_id, *others) == sorted(OTHERS)


@pytest.mark.parametrize(("said", "other"), SPELLINGS)
async def test_a_no_stops_the_leads_of_all_spellings(outreach: Outreach, said: str, other: str) -> None:
    """A pressed link stops the lead that was mailed and the person's other lead; its next mail does not go out."""
    lead_id, mail = await outreach.send_one(said)
    other_id, stranger_id = await outreach.add_lead(other), await outreach.add_lead(OTHERS[0])

    await press_link(mail)

    statuses = [(await outreach.get(f"/leads/{id_}"))["status"] for id_ in (lead_id, other_id, stranger_id)]
    assert statuses == ["Unsubscribed", "Unsubscribed", "New"]
    assert await send_step(outreach, other_id, stranger_id) == [OTHERS[0]]


async def test_unsubscribing_a_lead_stops_the_persons_other_leads(outreach: Outreach) -> None:
    """A user who unsubscribes one lead unsubscribes those with other spellings, live or deleted, and no others."""
    ids = {email: await outreach.add_lead(email) for email in ("anna+a@x.example", "anna@x.example", *OTHERS)}
    deleted = await outreach.add_lead("anna+old@x.example")
    await outreach.client.delete(f"{outreach.path}/leads/{deleted}")

    await outreach.post(f"/leads/{ids['anna+a@x.example']}/unsubscribe")
    await outreach.post(f"/leads/{deleted}/restore")

    unsubscribed = {one["email"] for one in (await outreach.get("/leads", status="Unsubscribed"))["items"]}
    assert unsubscribed == {"anna+a@x.example", "anna@x.example", "anna+old@x.example"}


async def test_a_reply_from_another_spelling_is_a_no(outreach: Outreach) -> None:
    """A no from a tagged address that answers no known mail stops the lead with the plain address."""
    lead_id, _ = await outreach.send_one("anna@x.example")
    raw = (
        "From: Anna <anna+news@x.example>\r\nTo: ann@acme.example\r\nSubject: Re: One\r\nMessage-ID: <no@x.example>\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\nunsubscribe\r\n"
    )
    async with httpx.AsyncClient(timeout=30) as http:
        await http.post(outreach.inbound_url, content=raw.encode(), headers={"Content-Type": "message/rfc822"})
    await outreach.run_jobs()

    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Unsubscribed"
    (found,) = (await outreach.get("/suppressions", value="anna@x.example"))["items"]
    assert found["reason"] == "unsubscribed"


async def test_removing_one_spelling_removes_all(outreach: Outreach) -> None:
    """A removal through any spelling's row lets all of them be mailed, and is found by all of them."""
    lead_id = await outreach.add_lead("anna+a@x.example")
    added = (await outreach.post("/suppressions", {"email": "anna@x.example"})).json()
    path = f"{outreach.path}/suppressions/{added['id']}"
    assert (await outreach.client.delete(path, params={"reason": "by mistake"})).status_code == 204

    assert await send_step(outreach, lead_id) == ["anna+a@x.example"]
    (removal,) = (await outreach.get("/suppressions/removals", value="anna+b@x.example"))["items"]
    assert removal["value"] == "anna@x.example"


async def test_a_file_names_a_person_once(outreach: Outreach) -> None:
    """Two spellings of one person in a file of suppressions are one suppression, with the first one's value."""
    files = {"file": ("list.csv", "Email\nanna+a@x.example\nanna@x.example\nbob@x.example\n")}
    response = await outreach.client.post(f"{outreach.path}/suppressions/import", files=files)
    assert (response.json()["added"], response.json()["already"]) == (2, 1)
    values = {one["value"] for one in (await outreach.get("/suppressions"))["items"]}
    assert values == {"anna+a@x.example", "bob@x.example"}
