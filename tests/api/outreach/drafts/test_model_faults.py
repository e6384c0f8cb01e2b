"""A model that misbehaves in every way there is, workers that end while it hangs: no job is lost, no draft is half."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import httpx
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from ai.settings import AiSettings
from api.http.resources import Services
from api.jobs.engine import Engine, EngineSettings
from api.settings import ApiSettings
from api.tasks import tasks
from database.engine import create_pool
from database.roles import ENGINE_ROLE, libpq_url, owner_url, role_url
from tests import ROOT
from tests.ai.stub_openai import Kind, Reply, StubOpenAI, run_stub
from tests.api.running import RunJobs
from tests.business_clock import BUSINESS_ENVIRONMENT

pytestmark = pytest.mark.anyio

GOOD = {
    "subject": "Hello",
    "paragraphs": [[{"text": "Hi Thandi,", "sources": []}], [{"text": "how are you?", "sources": []}]],
}
AS_AGREED: set[Kind] = {"answer", "no_usage", "strange_usage", "redirected"}
"""Kinds of a reply whose answer can be used."""
STRANGE = [
    {"subject": "Hello", "paragraphs": []},
    {"subject": "", "paragraphs": [[{"text": "\x00", "sources": []}]]},
    {"subject": "Hello \ud800", "paragraphs": [[{"text": "Hi \ud800", "sources": ["lead.first_name"]}]]},
    {"subject": "Hello {{ first_name }}", "paragraphs": [[{"text": "Hi {{ first_name }}", "sources": []}]]},
    {"subject": "A" * 100_000, "paragraphs": [[{"text": "B" * 1_000_000, "sources": []}]]},
    {"subject": "A" * 10_000, "paragraphs": [[{"text": "B" * 50_000, "sources": []}]]},
    {"subject": "Hello", "paragraphs": [[{"text": "Hi Thandi, ", "sources": []}] * 2_000]},
    {"subject": ["Hello"], "paragraphs": "Hi"},
    ["Hello"],
    None,
]
"""Answers that are given as agreed, and are no email."""
REPLIES = [
    *(Reply(GOOD, kind, retry_after="0" if kind == "rate_limited" else None) for kind in get_args(Kind)),
    *(Reply(answer) for answer in STRANGE),
]


class Drafting:
    """A workspace with a sequence that is drafted by a model, spoken to over HTTP."""

    def __init__(self, client: httpx.AsyncClient, workspace: str) -> None:
        self._client, self._path = client, f"/api/workspaces/{workspace}"

    async def _post(self, path: str, body: object) -> Any:
        response = await self._client.post(f"{self._path}{path}", json=body)
        assert response.is_success, response.text
        return response.json()

    async def enroll(self, *leads: dict[str, str]) -> None:
        """Have one draft asked for each of these leads; they are told apart by their address."""
        sequence = await self._post("/sequences", {"name": "Spring", "autoApprove": False})
        step = {"subject": "One", "bodyTemplate": "Hello {{ first_name }}, how are you?"}
        await self._post(f"/sequences/{sequence['id']}/steps", step)
        await self._post(f"/sequences/{sequence['id']}/activate", None)
        made = [
            (await self._post("/leads", {"email": f"lead{number}@lead.example", **lead}))["id"]
            for number, lead in enumerate(leads)
        ]
        await self._post("/enrollments", {"sequenceId": sequence["id"], "leadIds": made})

    async def drafts(self) -> list[dict[str, Any]]:
        """Return every draft whole, in the order of their leads."""
        listed = (await self._client.get(f"{self._path}/drafts", params={"limit": 500})).json()["items"]
        leads = (await self._client.get(f"{self._path}/leads", params={"limit": 500})).json()["items"]
        emails = {lead["id"]: lead["email"] for lead in leads}
        return sorted(listed, key=lambda draft: int(re.findall(r"\d+", emails[draft["leadId"]])[0]))

    async def jobs(self) -> set[str]:
        """Return how the jobs that write drafts stand."""
        found = await self._client.get(f"{self._path}/jobs", params={"type": "generate_draft", "limit": 500})
        assert found.is_success, found.text
        return {job["status"] for job in found.json()["items"]}


@pytest.fixture(scope="module")
def server() -> Iterator[StubOpenAI]:
    """Run one model server for this file."""
    with run_stub() as stub:
        yield stub


@pytest.fixture
def stub(server: StubOpenAI) -> StubOpenAI:
    """Give the model server in good health."""
    server.set_replies(Reply(GOOD))
    server.answerer = None
    return server


@pytest.fixture
def ai_settings(stub: StubOpenAI) -> AiSettings:
    """A model that is given little time, though enough on a busy machine."""
    return AiSettings(
        openai_api_key=SecretStr("sk-test"),
        openai_base_url=stub.base_url,
        openai_timeout_seconds=2,
        openai_deadline_seconds=15,
        openai_max_retries=1,
        openai_concurrency=32,
        langfuse_public_key=None,
        langfuse_secret_key=None,
    )


@pytest.fixture
def drafting(app_client: httpx.AsyncClient, workspace: str) -> Drafting:
    """Speak to a workspace that drafts."""
    return Drafting(app_client, workspace)


async def test_every_draft_is_whole_or_says_why_not(drafting: Drafting, stub: StubOpenAI, run_jobs: RunJobs) -> None:
    """Each lead's model misbehaves in its own way: all jobs end, no draft is half; where the template may not stand in
    for want of a first name, the draft has failed with its reasons."""

    def answer(request: dict[str, Any]) -> Reply:
        found = re.search(r"lead(\d+)@", str(request["input"]))
        assert found is not None
        return REPLIES[int(found[1]) // 2]

    stub.answerer = answer
    await drafting.enroll(*({"firstName": name} for _ in REPLIES for name in ("Thandi", "")))
    await run_jobs()

    drafts = await drafting.drafts()
    assert await drafting.jobs() == {"completed"}
    assert len(drafts) == 2 * len(REPLIES)
    for draft, reply in zip(drafts[::2], REPLIES, strict=True):
        by_model = reply.answer is GOOD and reply.kind in AS_AGREED
        assert draft["status"] == "drafted", (reply, draft)
        assert (draft["subject"], draft["generation"]["model"] is not None) == (
            "Hello" if by_model else "One",
            by_model,
        )
        assert bool(draft["generation"]["fallbackReason"]) is not by_model
        assert is_whole(draft)
    for draft in drafts[1::2]:
        assert draft["status"] == "failed" or is_whole(draft)
        assert bool(draft["errorReason"]) is (draft["status"] == "failed")


def is_whole(draft: dict[str, Any]) -> bool:
    """Say whether a draft has all its parts and no reason against it."""
    return all(draft[part].strip() for part in ("subject", "body", "bodyHtml")) and not draft["errorReason"]


async def test_a_worker_that_is_stopped_gives_its_drafts_back(
    drafting: Drafting, stub: StubOpenAI, run_jobs: RunJobs, services: Services, queue: AsyncEngine
) -> None:
    """Told to stop while the model hangs, a worker leaves its drafts untouched; the next one writes them."""
    stub.set_replies(Reply(kind="silent"))
    await drafting.enroll(*({"firstName": "Thandi"} for _ in range(5)))
    worker = Engine(
        queue=queue,
        pool=services.pool,
        clock=services.clock,
        tasks=tasks(services.settings),
        resources=services,
        settings=EngineSettings(poll_seconds=0.01, stop_within_seconds=0.2),
    )
    working = asyncio.create_task(worker.run())
    await seen(stub, 5)
    worker.stop()
    await working

    assert {draft["status"] for draft in await drafting.drafts()} == {"pending"}
    stub.set_replies(Reply(GOOD))
    await run_jobs()
    assert await drafting.jobs() == {"completed"}
    assert all(is_whole(draft) and draft["generation"]["model"] for draft in await drafting.drafts())


async def test_a_worker_that_is_killed_loses_no_draft(
    drafting: Drafting,
    stub: StubOpenAI,
    run_jobs: RunJobs,
    api_settings: ApiSettings,
    database_url: str,
    tmp_path: Path,
) -> None:
    """A worker killed while the model hangs reports nothing; when its heartbeats are old the next writes its drafts."""
    stub.set_replies(Reply(kind="silent"))
    await drafting.enroll(*({"firstName": "Thandi"} for _ in range(5)))
    with worker_process(database_url, stub, api_settings, tmp_path):
        await seen(stub, 5)
    assert await drafting.jobs() == {"running"}

    stub.set_replies(Reply(GOOD))
    with psycopg.connect(libpq_url(owner_url(database_url)), autocommit=True) as owner:
        owner.execute("UPDATE app.job_workers SET beat_at = now() - interval '1 hour'")
    await run_jobs()
    assert await drafting.jobs() == {"completed"}
    assert all(is_whole(draft) and draft["generation"]["model"] for draft in await drafting.drafts())


@pytest.fixture
async def queue(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Connections for a worker of the test's own."""
    opened = create_pool(role_url(owner_url(database_url), ENGINE_ROLE), size=3)
    yield opened
    await opened.dispose()


async def seen(stub: StubOpenAI, requests: int) -> None:
    """Wait until the model has been asked so often."""
    async with asyncio.timeout(60):
        while len(stub.requests) < requests:  # noqa: ASYNC110 - the server's threads set no event of this loop
            await asyncio.sleep(0.01)


@contextmanager
def worker_process(database_url: str, stub: StubOpenAI, settings: ApiSettings, home: Path) -> Iterator[None]:
    """Run a worker in a process of its own; it is killed at the end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SALESMATTER_", "DATABASE_"))}
    overrides = {
        "DATABASE_URL": database_url,
        "SALESMATTER_HOME": str(home),
        "SALESMATTER_SECRET_KEY": settings.secret_key.get_secret_value(),
        "SALESMATTER_POLL_MILLISECONDS": "20",
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": stub.base_url,
    }
    command = [sys.executable, "-m", "salesmatter", "worker"]
    with (
        (home / "worker.log").open("wb") as log,
        subprocess.Popen(
            command, cwd=ROOT, env=kept | BUSINESS_ENVIRONMENT | overrides, stdout=log, stderr=log
        ) as process,
    ):
        try:
            yield
        finally:
            process.kill()
