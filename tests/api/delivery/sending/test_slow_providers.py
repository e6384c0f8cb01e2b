"""Providers that answer slowly, or never to the end: what they do to their own workspace, and not to others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from api.settings import ApiSettings
from tests.api.running import RunJobs
from tests.api.sending_workspace import Outreach
from tests.egress.hostile import Answer, answering, repeating, sending
from tests.sandbox import Sandbox

pytestmark = pytest.mark.anyio

ACCEPTED = sending("200 OK", b'{"transactions": [{"id": "1"}]}')
PLACES = 4


@pytest.fixture
def api_settings(api_settings: ApiSettings) -> ApiSettings:
    """Settings with few places, of which a workspace has two, and with a low limit for slow answers."""
    changes = {"send_concurrency": PLACES, "provider_timeout_seconds": 60.0, "provider_slow_seconds": 0.05}
    return api_settings.model_copy(update=changes)


@pytest.fixture
async def other_workspace(app_client: httpx.AsyncClient, workspace: str) -> str:
    """Make a second workspace with the settings of the first."""
    settings = (await app_client.get(f"/api/workspaces/{workspace}")).json()
    names = ("defaultFromName", "defaultFromEmail", "postalAddress", "windowStart", "windowEnd", "sendingWeekdays")
    body = {name: settings[name] for name in names}
    made = await app_client.post("/api/workspaces", json={**body, "name": "Other", "holidaysCountry": None})
    other_id: str = made.json()["id"]
    return other_id


class Provider:
    """A server that counts the mails that it gets, and answers them in one way."""

    def __init__(self, answer: Answer, expected: int) -> None:
        self._answer, self._expected = answer, expected
        self.reached = asyncio.Event()
        self.mails = 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serve, and yield the origin."""

        async def answer(writer: asyncio.StreamWriter) -> None:
            self.mails = sum(head.startswith(b"POST /mail ") for head in heads)
            if self.mails >= self._expected:
                self.reached.set()
            await self._answer(writer)

        async with answering(answer) as (port, heads):
            yield f"http://127.0.0.1:{port}"


async def enroll(workspace: Outreach, url: str, leads: int) -> None:
    """Connect a workspace to a provider, and have so many mails ready to be sent."""
    body = {"transactionalUrl": url, "tenantUrl": url, "username": "u", "apiKey": "k"}
    assert (await workspace.client.put(f"{workspace.path}/everlytic-connection", json=body)).status_code == 200
    sequence_id = await workspace.add_sequence("One")
    lead_ids = [await workspace.add_lead(f"lead{number}@lead.example") for number in range(leads)]
    await workspace.post("/enrollments", {"sequenceId": sequence_id, "leadIds": lead_ids})


async def test_a_dripping_provider_holds_only_its_share(
    app_client: httpx.AsyncClient, workspace: str, other_workspace: str, sandbox: Sandbox, run_jobs: RunJobs
) -> None:
    """While a provider's answers drip without end, two of four places are its own, and others send their mails."""
    slow, quick = Provider(repeating(b"x", 0.02), PLACES // 2), Provider(ACCEPTED, 3)
    first, second = (
        Outreach(app_client, f"/api/workspaces/{id_}", sandbox, "", run_jobs, "", "")
        for id_ in (workspace, other_workspace)
    )
    async with slow.serve() as slow_url, quick.serve() as quick_url:
        await enroll(first, slow_url, 10)
        working = asyncio.create_task(run_jobs())
        try:
            async with asyncio.timeout(90):
                await slow.reached.wait()
                await enroll(second, quick_url, 3)
                await quick.reached.wait()
        finally:
            working.cancel()
            await asyncio.wait([working])
    assert (slow.mails, quick.mails) == (PLACES // 2, 3)


async def test_slow_answers_pause_a_connection(
    app_client: httpx.AsyncClient, workspace: str, sandbox: Sandbox, run_jobs: RunJobs
) -> None:
    """After five slow answers the connection pauses with the reason, although each mail was accepted."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        # A provider is slow by taking its time.
        await asyncio.sleep(0.1)
        await ACCEPTED(writer)

    slow = Provider(answer, 1)
    only = Outreach(app_client, f"/api/workspaces/{workspace}", sandbox, "", run_jobs, "", "")
    async with slow.serve() as url:
        await enroll(only, url, 5)
        with contextlib.suppress(TimeoutError):
            await run_jobs()
        shown = (await app_client.get(f"{only.path}/everlytic-connection")).json()
    assert slow.mails == 5
    assert shown["blockedUntil"] is not None
    assert shown["blockedReason"].startswith("Everlytic took 0.")
    drafts = (await only.get("/drafts"))["items"]
    assert {draft["status"] for draft in drafts} == {"sent"}
