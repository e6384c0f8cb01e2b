"""A person settles a send whose outcome is unknown."""

import asyncio
from datetime import datetime
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from psycopg.rows import dict_row

from api.http.resources import Services
from tests.api.accounts.conftest import Accounts
from tests.api.delivery.unresolved_sends.worlds import behave, claimed_ago, one_of, settle, unknown_send
from tests.api.sending_workspace import Outreach
from tests.api.waiting import until_waiting
from tests.business_clock import BUSINESS_NOW, business_now

pytestmark = pytest.mark.anyio


async def settlements(database_url: str) -> list[dict[str, Any]]:
    """Return what was decided, as it is kept."""
    async with await psycopg.AsyncConnection.connect(database_url, row_factory=dict_row) as owner:
        return await (await owner.execute("SELECT * FROM app.send_settlements ORDER BY id")).fetchall()


async def test_sent_lets_the_sequence_go_on(outreach: Outreach, database_url: str) -> None:
    """A person saw the mail: it counts as sent, the next step goes out, and the record says who, when, why, on what."""
    draft_id = await unknown_send(outreach, taken=True)
    before = business_now()

    status, answer = await settle(outreach, draft_id, "sent")
    after = business_now()
    await outreach.run_jobs()

    assert status == 200
    assert (answer["draftId"], answer["decision"]) == (draft_id, "sent")
    assert {one["status"] for one in (await outreach.get("/drafts"))["items"]} == {"sent"}
    assert [mail["subject"] for mail in outreach.mails()] == ["One", "Two"]
    (kept,) = await settlements(database_url)
    me = (await outreach.client.get("/api/me")).json()
    assert (kept["decided_by"], kept["note"]) == (me["user"]["id"], "asked the recipient by phone")
    assert before <= kept["decided_at"] <= after
    assert (kept["evidence"]["draftId"], kept["evidence"]["isStuck"]) == (draft_id, False)
    assert "thandi" not in str(kept["evidence"])
    assert (await outreach.client.get(f"{outreach.path}/unknown-sends/{draft_id}")).status_code == 404


async def test_not_sent_is_too_early_at_first(outreach: Outreach, database_url: str) -> None:
    """While a mail is being looked up it cannot be settled as not sent; the refusal says until when."""
    draft_id = await unknown_send(outreach, taken=True)
    stuck_at = (await one_of(outreach, draft_id))["stuckAt"]

    status, answer = await settle(outreach, draft_id, "not_sent")

    assert (status, answer["code"]) == (409, "not_stuck_yet")
    assert datetime.fromisoformat(stuck_at).isoformat() in answer["detail"]
    assert await settlements(database_url) == []
    assert (await one_of(outreach, draft_id))["stuckAt"] == stuck_at


async def test_not_sent_sends_the_mail_again(outreach: Outreach, database_url: str) -> None:
    """Stuck and vouched for: the mail goes out, once, and the sequence goes on; a second word comes too late."""
    draft_id = await unknown_send(outreach, taken=False)
    await claimed_ago(database_url, 25)

    status, _ = await settle(outreach, draft_id, "not_sent")
    again, _ = await settle(outreach, draft_id, "not_sent")
    await outreach.run_jobs()
    late, answer = await settle(outreach, draft_id, "not_sent")

    assert (status, again) == (200, 404)
    assert (late, answer["code"]) == (409, "outcome_known")
    assert [mail["subject"] for mail in outreach.mails()] == ["One", "Two"]
    assert (await outreach.get(f"/drafts/{draft_id}"))["errorReason"] is None


async def test_not_sent_checks_eligibility(outreach: Outreach, database_url: str) -> None:
    """A lead that unsubscribed meanwhile is not mailed after its send is settled as not sent."""
    draft_id = await unknown_send(outreach, taken=False)
    await claimed_ago(database_url, 25)
    lead_id = (await one_of(outreach, draft_id))["leadId"]
    await outreach.post(f"/leads/{lead_id}/unsubscribe")

    status, _ = await settle(outreach, draft_id, "not_sent")
    await outreach.run_jobs()

    assert status == 200
    assert outreach.mails() == []
    assert (await outreach.get(f"/drafts/{draft_id}"))["status"] == "failed"


async def test_an_earlier_settlement_is_evidence(outreach: Outreach, database_url: str) -> None:
    """A mail that is sent again and vanishes again shows what was decided the first time."""
    draft_id = await unknown_send(outreach, taken=False)
    await claimed_ago(database_url, 25)
    await settle(outreach, draft_id, "not_sent")
    behave(outreach, "reset_before_accept", lists=False)
    await outreach.run_jobs()

    (earlier,) = (await one_of(outreach, draft_id))["settlements"]

    assert (earlier["decision"], earlier["note"]) == ("not_sent", "asked the recipient by phone")


async def test_a_webhook_comes_first(outreach: Outreach, database_url: str) -> None:
    """What Everlytic has told of the mail settles it; a person who then says otherwise is told what is known."""
    draft_id = await unknown_send(outreach, taken=True)
    await claimed_ago(database_url, 25)
    (mail,) = outreach.mails()
    await outreach.hear(mail, "delivered")

    status, answer = await settle(outreach, draft_id, "not_sent")

    assert (status, answer["code"]) == (409, "outcome_known")
    assert "Everlytic has accepted this mail as transaction" in answer["detail"]
    assert [one["subject"] for one in outreach.mails()] == ["One", "Two"]
    assert await settlements(database_url) == []


PROOFS = {
    "a webhook about it was just received": (
        "INSERT INTO everlytic.webhook_deliveries (workspace_id, content_type, body, received_at)"
        " VALUES (%s, 'application/json', convert_to('{\"message_id\": \"' || %s || '\"}', 'UTF8'),"
        f" {BUSINESS_NOW})"
    ),
    "an event of it was just polled": (
        "INSERT INTO everlytic.callback_events (workspace_id, event_key, type, message_id, occurred_at, raw)"
        f" VALUES (%s, 'k', 'sent', %s, {BUSINESS_NOW}, '{{}}')"
    ),
    "its transaction list contains it as tx-1": (
        "INSERT INTO everlytic.transactions (workspace_id, transaction_id, message_id, raw)"
        " VALUES (%s, 'tx-1', %s, '{}')"
    ),
}


@pytest.mark.parametrize("said", PROOFS)
async def test_proof_that_waits_to_be_applied_counts(outreach: Outreach, database_url: str, said: str) -> None:
    """A send cannot be settled against a report of Everlytic, even where that is not applied yet."""
    draft_id = await unknown_send(outreach, taken=True)
    await claimed_ago(database_url, 25)
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute(PROOFS[said], [outreach.workspace_id, draft_id])

    status, answer = await settle(outreach, draft_id, "not_sent")

    assert (status, answer["code"]) == (409, "outcome_known")
    assert said in answer["detail"]
    assert (await one_of(outreach, draft_id))["draftId"] == draft_id


async def test_a_webhook_that_comes_after_stops_the_second_mail(outreach: Outreach, database_url: str) -> None:
    """A delivery that Everlytic reports after a wrong settlement stops the second mail."""
    draft_id = await unknown_send(outreach, taken=True)
    await claimed_ago(database_url, 25)
    (mail,) = outreach.mails()
    enrollment = f"/enrollments/{(await one_of(outreach, draft_id))['enrollmentId']}"
    await outreach.post(f"{enrollment}/pause")
    assert (await settle(outreach, draft_id, "not_sent"))[0] == 200

    await outreach.hear(mail, "delivered")
    await outreach.post(f"{enrollment}/resume")
    await outreach.run_jobs()

    assert (await outreach.get(f"/drafts/{draft_id}"))["status"] == "sent"
    assert [one["subject"] for one in outreach.mails()] == ["One", "Two"]


async def test_a_restored_claim_says_what_was_sent(outreach: Outreach, database_url: str) -> None:
    """A mail that was settled as not sent, and that Everlytic reports, was sent to the address of its time.

    Its complaint suppresses that address and not the one that the lead has by now, before and after the report.
    """
    facts = "claimed_at, recipient, subject, template_version, tracks_opens, tracks_clicks"

    def read(table: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(database_url) as owner:
            return owner.execute(f"SELECT {facts} FROM app.{table}".encode()).fetchall()

    draft_id = await unknown_send(outreach, taken=True)
    await claimed_ago(database_url, 25)
    (mail,) = outreach.mails()
    send = await one_of(outreach, draft_id)
    with psycopg.connect(database_url) as owner:
        owner.execute("UPDATE app.send_attempts SET tracks_opens = false")
    sent = read("send_attempts")
    await outreach.post(f"/enrollments/{send['enrollmentId']}/pause")
    assert (await settle(outreach, draft_id, "not_sent"))[0] == 200
    path = f"{outreach.path}/leads/{send['leadId']}"
    etag = (await outreach.client.get(path)).headers["ETag"]
    changed = await outreach.client.patch(path, json={"email": "new@lead.example"}, headers={"If-Match": etag})
    assert (changed.status_code, read("send_attempts"), read("released_claims")) == (200, [], sent)
    link = mail["custom_headers"]["List-Unsubscribe"][0].strip("<>")
    assert "thandi@lead.example" in (await outreach.client.get(link)).text

    await outreach.hear(mail, "complaint")

    assert read("send_attempts") == sent
    assert [row[1:3] for row in sent] == [("thandi@lead.example", "One")]
    suppressed = [(item["value"], item["reason"]) for item in (await outreach.get("/suppressions"))["items"]]
    assert suppressed == [("thandi@lead.example", "complaint")]


@pytest.mark.parametrize("decision", ["sent", "not_sent"])
@pytest.mark.parametrize("is_first", [True, False], ids=["person-first", "webhook-first"])
async def test_a_person_and_a_webhook_at_one_moment(
    outreach: Outreach, database_url: str, decision: str, is_first: bool
) -> None:
    """In either order the mail counts as sent, once, and the sequence continues by one step."""
    draft_id = await unknown_send(outreach, taken=True)
    await claimed_ago(database_url, 25)
    (mail,) = outreach.mails()
    outreach.sandbox.tell("events", username=outreach.username, message_id=mail["message_id"], type="delivered")
    await asyncio.to_thread(outreach.sandbox.settle)
    answers: list[tuple[int, dict[str, Any]]] = []

    async def person() -> None:
        answers.append(await settle(outreach, draft_id, decision))

    async def webhook() -> None:
        await outreach.run_jobs()

    first, second = (person, webhook) if is_first else (webhook, person)
    with psycopg.connect(database_url, autocommit=True) as watcher, psycopg.connect(database_url) as holder:
        holder.execute("SELECT FROM app.leads FOR UPDATE")
        ahead = await until_waiting(watcher, first())
        behind = asyncio.create_task(second())
        holder.rollback()
        await asyncio.gather(ahead, behind)
    await outreach.run_jobs()

    ((status, answer),) = answers
    assert status == 200 if decision == "sent" and is_first else status in {200, 409}, answer
    assert status == 200 or answer["code"] == "outcome_known"
    assert decision == "sent" or status == 409
    assert (await outreach.get(f"/drafts/{draft_id}"))["status"] == "sent"
    assert [one["subject"] for one in outreach.mails()] == ["One", "Two"]
    assert len(await settlements(database_url)) == (status == 200)


async def test_members_may_and_strangers_may_not(
    outreach: Outreach, app: FastAPI, services: Services, database_url: str
) -> None:
    """A member of the account settles; to another account neither the list nor the send exists."""
    draft_id = await unknown_send(outreach, taken=True)
    accounts = Accounts(app, services)
    async with accounts.closing:
        made = await outreach.client.post(
            "/api/users", json={"email": "bo@acme.example", "name": "Bo", "role": "member"}
        )
        key = await outreach.client.post("/api/api-keys", json={"name": "theirs", "userId": made.json()["id"]})
        member = await accounts.caller(key.json()["token"])
        stranger = (await accounts.found("Other", "eve@other.example")).client
        theirs = (await stranger.post("/api/workspaces", json=_WORKSPACE)).json()["id"]
        body = {"decision": "sent", "note": "seen"}
        for path in (f"{outreach.path}/unknown-sends", f"/api/workspaces/{theirs}/unknown-sends"):
            assert (await stranger.get(f"{path}/{draft_id}")).status_code == 404
            assert (await stranger.post(f"{path}/{draft_id}/settle", json=body)).status_code == 404
        assert (await stranger.get(f"{outreach.path}/unknown-sends")).status_code == 404
        assert (await stranger.get(f"/api/workspaces/{theirs}/unknown-sends")).json()["items"] == []
        assert await settlements(database_url) == []
        settled = await member.post(f"{outreach.path}/unknown-sends/{draft_id}/settle", json=body)

    assert settled.status_code == 200, settled.text
    assert settled.json()["decidedBy"] == made.json()["id"]


_WORKSPACE = {"name": "Mine", "defaultFromName": "Eve", "defaultFromEmail": "eve@other.example"}


async def test_a_settlement_says_what_and_why(outreach: Outreach, database_url: str) -> None:
    """A decision that does not exist, no note, or one that is no note is malformed, and changes nothing."""
    draft_id = await unknown_send(outreach, taken=True)
    before = await one_of(outreach, draft_id)
    malformed: list[dict[str, str]] = [
        {},
        {"decision": "sent"},
        {"decision": "perhaps", "note": "n"},
        {"decision": "sent", "note": " "},
        {"decision": "sent", "note": "n" * 2001},
        {"decision": "sent", "note": "n", "draftId": "x"},
        {"decision": "sent", "note": "n\x00"},
    ]
    for body in malformed:
        response = await outreach.client.post(f"{outreach.path}/unknown-sends/{draft_id}/settle", json=body)
        assert response.status_code == 422, body
    assert await one_of(outreach, draft_id) == before
    assert await settlements(database_url) == []


async def test_a_draft_that_was_not_attempted_has_no_outcome(outreach: Outreach) -> None:
    """A draft that waits for review, and one that does not exist, cannot be settled."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    (draft,) = (await outreach.get("/drafts"))["items"]
    for draft_id in (draft["id"], "018f0000-0000-7000-8000-000000000000"):
        assert (await settle(outreach, draft_id, "sent"))[0] == 404
    assert (await outreach.client.get(f"{outreach.path}/unknown-sends", params={"isStuck": "x"})).status_code == 422


async def test_what_is_heard_is_shown(outreach: Outreach) -> None:
    """A click on the mail's own unsubscribe link is evidence that it arrived."""
    draft_id = await unknown_send(outreach, taken=True)
    (mail,) = outreach.mails()
    link = mail["custom_headers"]["List-Unsubscribe"][0].strip("<>")
    await outreach.client.post(link[link.index("/u/") :], data={"List-Unsubscribe": "One-Click"})

    shown = await one_of(outreach, draft_id)

    assert [one["type"] for one in shown["heard"]] == ["unsubscribed"]
    assert shown["heard"][0]["occurredAt"] > shown["claimedAt"]
