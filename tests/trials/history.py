"""A history of two accounts: what is done over HTTP and at the provider, beside the model of who may not be mailed."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.accounts import service as accounts
from api.http.resources import Services
from database.tenancy import Scope, transaction
from tests.api.running import stop_clock
from tests.api.sending_workspace import Connector, Outreach
from tests.trials.never_mailed import KnownLead, Model, Target
from tests.trials.persons import address_of, domain_of, person_of

STEPS = 3
DAY = timedelta(days=1)


@dataclass(slots=True)
class Place:
    """A workspace with a sequence of three steps, one a day, that sends without review."""

    outreach: Outreach
    account: str
    sequence_id: str = ""

    @property
    def path(self) -> str:
        """The workspace's path, which is its name in the model."""
        return self.outreach.path

    @property
    def client(self) -> httpx.AsyncClient:
        """Speaks as an admin of the account."""
        return self.outreach.client

    async def set_up(self) -> None:
        """Let complaints pause nothing, and activate the sequence."""
        tag = (await self.client.get(self.path)).headers["ETag"]
        limits = {"maxDailyComplaints": None, "maxComplaintRate": None, "maxBounceRate": None}
        assert (await self.client.patch(self.path, json=limits, headers={"If-Match": tag})).is_success
        self.sequence_id = await self.add_sequence(STEPS)

    async def add_sequence(self, steps: int) -> str:
        """Make an active sequence."""
        made = await self.outreach.post("/sequences", {"name": "Spring", "autoApprove": True})
        path = f"/sequences/{made.json()['id']}"
        for number in range(steps):
            step = {"subject": f"Mail {number}", "bodyTemplate": "How are you?", "delayDays": min(number, 1)}
            await self.outreach.post(f"{path}/steps", step)
        await self.outreach.post(f"{path}/activate")
        sequence_id: str = made.json()["id"]
        return sequence_id

    async def list_all(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Return all items of a list."""
        page = await self.outreach.get(path, limit="500", **query)
        assert page["nextCursor"] is None
        items: list[dict[str, Any]] = page["items"]
        return items

    def ledger(self) -> list[dict[str, Any]]:
        """Return what the provider accepted from this workspace, with times."""
        mails: list[dict[str, Any]] = self.outreach.sandbox.ask("ledger", username=self.outreach.username)
        return mails


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail that was sent, and the lead of its draft."""

    place: Place
    mail: dict[str, Any]
    lead: KnownLead

    @property
    def id(self) -> str:
        """The id of the mail and of its draft."""
        message_id: str = self.mail["message_id"]
        return message_id

    @property
    def address(self) -> str:
        """The address that was mailed."""
        return address_of(self.mail["recipient"])


@dataclass(slots=True)
class History:
    """Two workspaces of one account and one of another, and what is known about them."""

    places: list[Place]
    services: Services
    connector: Connector
    model: Model = field(default_factory=Model)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def now(self) -> float:
        """Return the time of the provider's clock."""
        now: float = self.connector.sandbox.ask("state")["now_epoch"]
        return now

    async def run_jobs(self) -> None:
        """Let everything happen that is due."""
        await self.connector.run_jobs()

    async def pass_day(self) -> None:
        """Let a day go by, and send what is due then."""
        stop_clock(self.services.clock, self.services.clock.now() + DAY)
        await self.run_jobs()

    def pick_lead(self, place: Place, which: int, *, is_deleted: bool = False) -> KnownLead | None:
        """Return one of the workspace's leads."""
        leads = [lead for lead in self.model.leads if lead.path == place.path and lead.is_deleted == is_deleted]
        return leads[which % len(leads)] if leads else None

    async def pick_mail(self, which: int) -> Sent | None:
        """Return one of all mails that were sent so far."""
        mails = [(place, mail) for place in self.places for mail in place.outreach.mails()]
        if not mails:
            return None
        place, mail = mails[which % len(mails)]
        draft = await place.outreach.get(f"/drafts/{mail['message_id']}")
        return Sent(place, mail, self.model.find_lead(draft["leadId"]))

    async def add_lead(self, place: Place, spelling: str) -> None:
        """Make a lead; the address of another one is refused."""
        response = await place.client.post(f"{place.path}/leads", json={"email": spelling, "firstName": "Mia"})
        is_new = self.model.find_holder(place.path, address_of(spelling)) is None
        assert response.status_code == (201 if is_new else 409), response.text
        if is_new:
            self.learn_lead(place, response.json())

    async def add_leads(self, place: Place, spellings: list[str]) -> None:
        """Make a lead of each address that no lead has."""
        await place.outreach.post("/leads/bulk", {"leads": [{"email": spelling} for spelling in spellings]})
        known = {lead.id for lead in self.model.leads}
        for lead in await place.list_all("/leads"):
            if lead["id"] not in known:
                self.learn_lead(place, lead)

    def learn_lead(self, place: Place, lead: dict[str, Any]) -> KnownLead:
        """Remember a new lead."""
        known = KnownLead(lead["id"], place.path, place.account, address_of(lead["email"]))
        self.model.leads.append(known)
        return known

    async def enroll_all(self, place: Place, sequence_id: str) -> None:
        """Enroll all leads that are not deleted, unless the sequence is paused, and send what is due."""
        ids = [lead["id"] for lead in await place.list_all("/leads")]
        is_active = (await place.outreach.get(f"/sequences/{sequence_id}"))["status"] == "Active"
        if ids and is_active:
            await place.outreach.post("/enrollments", {"sequenceId": sequence_id, "leadIds": ids})
        await self.run_jobs()

    async def check_suppressions(self) -> None:
        """Each workspace shows the suppressions of the model, and no other."""
        for place in self.places:
            owners = {"workspace": place.path, "account": place.account}
            shown = {
                (owners[each["scope"]], to_target(each["value"]), each["includeSubdomains"])
                for each in await place.list_all("/suppressions")
            }
            assert shown == self.model.list_standing(place.path, place.account), place.path

    async def check_mails(self) -> None:
        """By the provider's record: no mail after a no, none to a lead that had unsubscribed, and no step twice."""
        for place in self.places:
            drafts = {draft["id"]: draft for draft in await place.list_all("/drafts", status="sent")}
            ledger = place.ledger()
            assert sorted(drafts) == sorted(mail["message_id"] for mail in ledger)
            for mail in ledger:
                address, at = address_of(mail["to"]), mail["accepted_at"]
                assert not self.model.is_suppressed(address, place.path, place.account, at=at), mail
                assert at < self.model.find_lead(drafts[mail["message_id"]]["leadId"]).unsubscribed_at, mail
            steps = [(draft["leadId"], draft["stepId"]) for draft in drafts.values()]
            assert len(steps) == len(set(steps))

    async def check_leads(self) -> None:
        """Each lead has its address, and is unsubscribed if and only if its owner unsubscribed."""
        for place in self.places:
            shown = {lead["id"]: lead for lead in await place.list_all("/leads")}
            live = {lead.id: lead for lead in self.model.leads if lead.path == place.path and not lead.is_deleted}
            assert set(shown) == set(live)
            for lead_id, known in live.items():
                status = shown[lead_id]["status"]
                assert shown[lead_id]["email"] == known.address
                assert known.may_have_unsubscribed or (status == "Unsubscribed") == known.has_unsubscribed, known

    async def mail_all(self) -> None:
        """Mail all leads once more: those get a mail who may be mailed, and no others do."""
        for place in self.places:
            before = {mail["message_id"] for mail in place.ledger()}
            must, may = self.model.list_mailable(place.path, place.account, self.now())
            await self.enroll_all(place, await place.add_sequence(1))
            mailed = {address_of(mail["to"]) for mail in place.ledger() if mail["message_id"] not in before}
            assert must <= mailed <= must | may, (must, mailed)

    async def check_end(self, spellings: list[str]) -> None:
        """Add a workspace and leads to all, send whatever can be sent, and compare everything with the model."""
        await self.add_later_workspace()
        for place in self.places:
            await self.add_leads(place, spellings)
        await self.run_jobs()
        await self.check_leads()
        await self.pass_day()
        await self.mail_all()
        await self.check_mails()

    async def add_later_workspace(self) -> None:
        """Add a workspace to the account that has two."""
        place = Place(await self.connector.add(self.places[0].client), self.places[0].account)
        await place.set_up()
        self.places.append(place)


def to_target(value: str) -> Target:
    """Return what a suppression with a value is about."""
    if value.startswith("@"):
        return Target(domain_of(value[1:]), is_domain=True)
    return Target(person_of(value))


@dataclass(frozen=True, slots=True)
class Stage:
    """Begins histories, each with accounts of its own."""

    app: FastAPI
    origin: str
    services: Services
    connector: Connector

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[History]:
        """Make the accounts and their workspaces, which are deleted at the end: nothing of them happens later."""
        async with await self._add_account("Acme") as first, await self._add_account("Other") as other:
            history = await self._build(first, other)
            yield history
            for place in history.places:
                assert (await place.client.delete(place.path)).is_success

    async def _build(self, first: httpx.AsyncClient, other: httpx.AsyncClient) -> History:
        places = [
            Place(await self.connector.add(client), str((await client.get("/api/me")).json()["account"]["id"]))
            for client in (first, first, other)
        ]
        for place in places:
            await place.set_up()
        return History(places, self.services, self.connector)

    async def _add_account(self, name: str) -> httpx.AsyncClient:
        async with transaction(self.services.pool, Scope()) as session:
            made = await accounts.create_account(session, name=name, user_name="Ann", email="ann@acme.example")
        headers = {"Authorization": f"Bearer {made.api_key}"}
        return httpx.AsyncClient(base_url=self.origin, headers=headers, timeout=30)


@pytest.fixture
def stage(app: FastAPI, served: str, services: Services, connector: Connector) -> Stage:
    """Begin histories on a Monday; time only goes on from one to the next."""
    stop_clock(services.clock, datetime.fromisoformat("2026-10-26T07:00:00Z"))
    return Stage(app, served, services, connector)
