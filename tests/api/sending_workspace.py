"""A workspace connected to a real sandbox, and an active one-step sequence."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import anyio.to_thread
import httpx
import pytest

from tests.api.running import RunJobs
from tests.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Outreach:
    """A workspace that can send, spoken to over HTTP."""

    client: httpx.AsyncClient
    path: str
    sandbox: Sandbox
    username: str
    run_jobs: RunJobs
    webhook_url: str
    inbound_url: str

    @property
    def workspace_id(self) -> UUID:
        """The workspace's id."""
        return UUID(self.path.rpartition("/")[2])

    async def account_id(self) -> UUID:
        """Return the id of its account."""
        return UUID((await self.client.get("/api/me")).json()["account"]["id"])

    async def post(self, path: str, body: object = None) -> httpx.Response:
        """POST below the workspace's path; anything but success fails the test."""
        response = await self.client.post(f"{self.path}{path}", json=body)
        assert response.is_success, response.text
        return response

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """GET below the workspace's path."""
        response = await self.client.get(f"{self.path}{path}", params=query)
        assert response.is_success, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def add_lead(self, email: str) -> str:
        """Make a lead and return its id."""
        lead_id: str = (await self.post("/leads", {"email": email, "firstName": "Thandi"})).json()["id"]
        return lead_id

    async def add_sequence(self, *steps: str, auto_approve: bool = True) -> str:
        """Make an active sequence with these subjects, each step due at once, and return its id."""
        body = {"name": "Spring", "autoApprove": auto_approve}
        sequence_id: str = (await self.post("/sequences", body)).json()["id"]
        for subject in steps:
            step = {"subject": subject, "bodyTemplate": "Hello {{ first_name }}, how are you?"}
            await self.post(f"/sequences/{sequence_id}/steps", step)
        await self.post(f"/sequences/{sequence_id}/activate")
        return sequence_id

    async def enroll(self, sequence_id: str, *lead_ids: str) -> None:
        """Enroll leads and let everything that follows happen."""
        await self.post("/enrollments", {"sequenceId": sequence_id, "leadIds": list(lead_ids)})
        await self.run_jobs()

    async def send_one(self, email: str = "thandi@lead.example") -> tuple[str, dict[str, Any]]:
        """Have one mail sent and return its lead's id and what the sandbox took."""
        sequence_id = await self.add_sequence("One", "Two", auto_approve=False)
        lead_id = await self.add_lead(email)
        await self.enroll(sequence_id, lead_id)
        await self.post("/drafts/approve", {"sequenceId": sequence_id})
        await self.run_jobs()
        (mail,) = self.mails()
        return lead_id, mail

    async def hear(self, mail: dict[str, Any], type_: str, **data: object) -> None:
        """Make something happen to a mail, as Everlytic would tell it, and let it act."""
        body = {"username": self.username, "message_id": mail["message_id"], "type": type_, "data": data}
        self.sandbox.tell("events", **body)
        await anyio.to_thread.run_sync(self.sandbox.settle)
        await self.run_jobs()

    def fault(self, name: str, probability: float = 1.0) -> None:
        """Have the sandbox fail this workspace's calls."""
        faults = [{"name": name, "probability": probability}] if probability else []
        self.sandbox.tell("scenarios", username=self.username, scenarios=faults)

    def mails(self) -> list[dict[str, Any]]:
        """Return what the sandbox accepted from this workspace."""
        mails: list[dict[str, Any]] = self.sandbox.ask("mails", username=self.username)
        return mails


async def add_workspace(client: httpx.AsyncClient) -> str:
    """Make a workspace that may send at any hour and return its id."""
    body = {
        "name": "Outbound",
        "defaultFromName": "Ann",
        "defaultFromEmail": "ann@acme.example",
        "postalAddress": "1 Long Street, Cape Town",
        "windowStart": "00:00:00",
        "windowEnd": "23:59:59",
        "sendingWeekdays": [0, 1, 2, 3, 4, 5, 6],
        "holidaysCountry": None,
    }
    response = await client.post("/api/workspaces", json=body)
    assert response.status_code == 201, response.text
    workspace_id: str = response.json()["id"]
    return workspace_id


@dataclass(frozen=True, slots=True)
class Connector:
    """Connects workspaces to the sandbox, webhooks and replies included."""

    sandbox: Sandbox
    run_jobs: RunJobs

    async def add(self, client: httpx.AsyncClient) -> Outreach:
        """Make a workspace of the client's account and connect it."""
        return await self.connect(client, await add_workspace(client))

    async def connect(self, client: httpx.AsyncClient, workspace: str) -> Outreach:
        """Connect a workspace, each to a tenant of its own."""
        username = self.sandbox.new_username()
        path = f"/api/workspaces/{workspace}"
        body = {
            "transactionalUrl": f"{self.sandbox.url}/transactional/email/v1",
            "tenantUrl": f"{self.sandbox.url}/api/2.0",
            "username": username,
            "apiKey": f"sandbox-key-{username}",
        }
        response = await client.put(f"{path}/everlytic-connection", json=body)
        assert response.status_code == 200, response.text
        connected = response.json()
        inbound = f"/__sandbox__/tenants/{username}/inbound"
        self.sandbox.control.put(inbound, json={"url": connected["inboundUrl"]})
        await self.run_jobs()
        urls = connected["webhookUrl"], connected["inboundUrl"]
        return Outreach(client, path, self.sandbox, username, self.run_jobs, *urls)


@pytest.fixture
def connector(served: str, sandbox: Sandbox, run_jobs: RunJobs) -> Iterator[Connector]:
    """Connect any number of workspaces to the sandbox."""
    yield Connector(sandbox, run_jobs)
    sandbox.forget()


@pytest.fixture
async def outreach(app_client: httpx.AsyncClient, workspace: str, connector: Connector) -> Outreach:
    """Connect a workspace to the sandbox, webhooks and replies included."""
    return await connector.connect(app_client, workspace)
