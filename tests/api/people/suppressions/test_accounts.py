"""A person's no counts for every workspace of the account that mailed them, and for no other account."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from api.accounts import service as accounts
from api.http.resources import Services
from database.roles import connect, owner_url
from database.tenancy import Scope, transaction
from tests.api.people.suppressions.test_spellings import press_link
from tests.api.sending_workspace import Connector, Outreach

pytestmark = pytest.mark.anyio

ANNA, BOB = "anna@lead.example", "bob@lead.example"


@dataclass(frozen=True, slots=True)
class World:
    """Two workspaces of one account, and one of another account."""

    mine: Outreach
    beside: Outreach
    stranger: Outreach
    owner: psycopg.Connection
    """Commits by itself."""

    def set_deleted(self, outreach: Outreach, moment: str | None) -> None:
        """Delete a workspace, or restore it."""
        self.owner.execute("UPDATE app.workspaces SET deleted_at = %s WHERE id = %s", [moment, outreach.workspace_id])


@pytest.fixture
async def world(
    outreach: Outreach, connector: Connector, services: Services, app: FastAPI, database_url: str
) -> AsyncIterator[World]:
    """Connect three workspaces of two accounts to the sandbox."""
    async with transaction(services.pool, Scope()) as session:
        made = await accounts.create_account(session, name="Other", user_name="Eve", email="eve@other.example")
    headers = {"Authorization": f"Bearer {made.api_key}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as other:
        with connect(owner_url(database_url)) as owner:
            yield World(outreach, await connector.add(outreach.client), await connector.add(other), owner)


async def start(outreach: Outreach, *emails: str) -> dict[str, Any]:
    """Send the first of two mails to each; the second waits for approval. Returns the mails by recipient."""
    sequence_id = await outreach.add_sequence("One", "Two", auto_approve=False)
    await outreach.enroll(sequence_id, *[await outreach.add_lead(email) for email in emails])
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await outreach.run_jobs()
    return {mail["recipient"]: mail for mail in outreach.mails()}


async def send_next(outreach: Outreach) -> list[str]:
    """Approve what is drafted, let it be sent, and return who got a second mail."""
    before = len(outreach.mails())
    for sequence in (await outreach.get("/sequences"))["items"]:
        await outreach.post("/drafts/approve", {"sequenceId": sequence["id"]})
    await outreach.run_jobs()
    return sorted(mail["recipient"] for mail in outreach.mails()[before:])


async def statuses(outreach: Outreach) -> dict[str, str]:
    """Return the status of each lead."""
    return {lead["email"]: lead["status"] for lead in (await outreach.get("/leads"))["items"]}


async def reply(outreach: Outreach, mail: dict[str, Any]) -> None:
    """Answer a mail with a no."""
    raw = (
        f"From: Anna <{mail['recipient']}>\r\nTo: ann@acme.example\r\nSubject: Re: One\r\n"
        "Message-ID: <no@x.example>\r\n"
        f"In-Reply-To: <{mail['message_id']}@sandbox.everlytic>\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\nPlease unsubscribe me.\r\n"
    )
    async with httpx.AsyncClient(timeout=30) as http:
        await http.post(outreach.inbound_url, content=raw.encode(), headers={"Content-Type": "message/rfc822"})


async def press(outreach: Outreach, mail: dict[str, Any]) -> None:
    """Press the unsubscribe link."""
    await press_link(mail)


async def complain(outreach: Outreach, mail: dict[str, Any]) -> None:
    """Complain at the provider."""
    await outreach.hear(mail, "complaint")


async def bounce(outreach: Outreach, mail: dict[str, Any]) -> None:
    """Return the mail because the address does not exist."""
    await outreach.hear(mail, "bounce", bounce_type="hard", code="5.1.1", reason="user unknown")


async def unsubscribe_lead(outreach: Outreach, mail: dict[str, Any]) -> None:
    """Unsubscribe the lead as a user."""
    (lead,) = [lead for lead in (await outreach.get("/leads"))["items"] if lead["email"] == mail["recipient"]]
    await outreach.post(f"/leads/{lead['id']}/unsubscribe")


NOES = {"reply": reply, "link": press, "complaint": complain, "bounce": bounce, "user": unsubscribe_lead}


@pytest.mark.parametrize("no", NOES)
async def test_a_no_counts_in_all_workspaces_of_the_account(world: World, no: str) -> None:
    """After a no in one workspace the next mail of the other is not sent; other leads and accounts go on."""
    say: Callable[[Outreach, dict[str, Any]], Awaitable[None]] = NOES[no]
    mails = await start(world.mine, ANNA, BOB)
    for outreach in (world.beside, world.stranger):
        await start(outreach, ANNA, BOB)

    await say(world.mine, mails[ANNA])
    await world.mine.run_jobs()

    is_unsubscribed = no != "bounce"
    for outreach in (world.mine, world.beside):
        assert await send_next(outreach) == [BOB]
        assert (await statuses(outreach))[ANNA] == ("Unsubscribed" if is_unsubscribed else "Contacted")
        (suppression,) = (await outreach.get("/suppressions", scope="account"))["items"]
        assert (suppression["value"], suppression["scope"]) == (ANNA, "account")
        (lead,) = [lead for lead in (await outreach.get("/leads"))["items"] if lead["email"] == ANNA]
        assert (await outreach.get(f"/leads/{lead['id']}"))["suppressed"] is True
        timeline = (await outreach.get(f"/leads/{lead['id']}/timeline"))["items"]
        assert [item["data"]["scope"] for item in timeline if item["kind"] == "suppressed"] == ["account"]
    assert await send_next(world.stranger) == [ANNA, BOB]
    assert (await world.stranger.get("/suppressions"))["items"] == []


async def test_a_no_counts_before_its_job_has_run(world: World) -> None:
    """The other workspace's claim refuses the mail although the job that stops its lead has not run yet."""
    mails = await start(world.mine, ANNA)
    await start(world.beside, ANNA)
    await press_link(mails[ANNA])
    world.owner.execute("DELETE FROM app.scheduled_jobs WHERE job_type = 'stop_leads'")

    assert await send_next(world.beside) == []
    assert (await statuses(world.beside))[ANNA] == "Contacted"


async def test_a_removed_suppression_stops_no_lead_later(world: World) -> None:
    """A job that runs after the suppression was removed stops nothing."""
    mails = await start(world.mine, ANNA)
    await start(world.beside, ANNA)
    await press_link(mails[ANNA])
    (suppression,) = (await world.mine.get("/suppressions"))["items"]
    path = f"{world.mine.path}/suppressions/{suppression['id']}"
    assert (await world.mine.client.delete(path, params={"reason": "by mistake"})).status_code == 204

    assert await send_next(world.beside) == [ANNA]
    for outreach in (world.mine, world.beside):
        (removal,) = (await outreach.get("/suppressions/removals"))["items"]
        assert (removal["value"], removal["scope"], removal["removedBecause"]) == (ANNA, "account", "by mistake")
    assert (await world.stranger.get("/suppressions/removals"))["items"] == []


async def test_a_workspace_made_later_hears_an_earlier_no(world: World, connector: Connector) -> None:
    """A workspace of the account that is made after the no mails neither a new lead nor an imported one."""
    mails = await start(world.mine, ANNA)
    await press_link(mails[ANNA])

    later = await connector.add(world.mine.client)

    assert list(await start(later, ANNA, BOB)) == [BOB]
    files = {"file": ("again.csv", f"Email\n{ANNA.upper()}\nanna+tag@lead.example\ncy@lead.example\n")}
    uploaded = (await later.client.post(f"{later.path}/imports", files=files)).json()
    await later.post(f"/imports/{uploaded['id']}/commit")
    await later.run_jobs()
    done = await later.get(f"/imports/{uploaded['id']}")
    assert (done["suppressedCount"], done["newCount"]) == (2, 1)


async def test_deleting_and_restoring_workspaces_keeps_a_no(world: World) -> None:
    """A no outlives the workspace that heard it, and reaches one that was deleted when it was said."""
    mails = await start(world.mine, ANNA)
    await start(world.beside, ANNA)
    world.set_deleted(world.beside, "2026-01-01")
    await press_link(mails[ANNA])
    world.set_deleted(world.mine, "2026-01-01")
    world.set_deleted(world.beside, None)

    assert await send_next(world.beside) == []
    (suppression,) = (await world.beside.get("/suppressions"))["items"]
    assert (suppression["value"], suppression["reason"]) == (ANNA, "unsubscribed")
    world.set_deleted(world.mine, None)


async def test_an_erased_person_is_not_mailed_by_the_account(world: World) -> None:
    """Erasure in one workspace suppresses the address for the account, by its hash alone."""
    await start(world.mine, ANNA)
    await start(world.beside, ANNA)
    (lead,) = (await world.mine.get("/leads"))["items"]
    await world.mine.post(f"/leads/{lead['id']}/erase")
    await world.mine.run_jobs()

    assert await send_next(world.beside) == []
    (suppression,) = (await world.beside.get("/suppressions"))["items"]
    assert (suppression["value"], suppression["scope"]) == (None, "account")


async def test_a_link_of_an_erased_mail_counts_for_the_account(world: World) -> None:
    """After the erasure's suppression was removed, the old link suppresses by hash, in the other workspace too."""
    mails = await start(world.mine, ANNA)
    await start(world.beside, ANNA)
    (lead,) = (await world.mine.get("/leads"))["items"]
    await world.mine.post(f"/leads/{lead['id']}/erase")
    (suppression,) = (await world.mine.get("/suppressions"))["items"]
    path = f"{world.mine.path}/suppressions/{suppression['id']}"
    assert (await world.mine.client.delete(path, params={"reason": "by mistake"})).status_code == 204

    await press_link(mails[ANNA])

    assert await send_next(world.beside) == []
    (suppression,) = (await world.beside.get("/suppressions"))["items"]
    assert (suppression["value"], suppression["reason"]) == (None, "unsubscribed")
