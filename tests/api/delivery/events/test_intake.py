"""Taking in what is pushed: stored before it is answered, applied without fail, and by few jobs."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from api.accounts.workspaces import service as workspaces
from api.delivery.events import service
from api.delivery.events.repository import Delivery
from api.http.resources import Services
from database.tenancy import Scope, transaction
from tests.api.running import RunJobs

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True)
class Pushing:
    """Who pushes to the workspace's webhook."""

    client: httpx.AsyncClient
    path: str
    password: str

    async def ask(self, content: bytes = b"", *, method: str = "POST", **headers: str) -> httpx.Response:
        """Push something, with the right credentials unless others are given."""
        usual = base64.b64encode(f"everlytic:{self.password}".encode()).decode()
        named = {"Authorization": f"Basic {usual}", **{name.replace("_", "-"): text for name, text in headers.items()}}
        return await self.client.request(method, self.path, content=content, headers=named)


@pytest.fixture
async def pushing(
    app: FastAPI, app_client: httpx.AsyncClient, workspace: str, services: Services
) -> AsyncIterator[Pushing]:
    """Connect the workspace to an Everlytic address that is never called here, and push to it."""
    body = {
        "transactionalUrl": "http://127.0.0.1:1/transactional/email/v1",
        "tenantUrl": "http://127.0.0.1:1/api/2.0",
        "username": "acme",
        "apiKey": "none",
    }
    connected = (await app_client.put(f"/api/workspaces/{workspace}/everlytic-connection", json=body)).json()
    async with transaction(services.pool, Scope(workspace_id=UUID(workspace))) as session:
        connection = await workspaces.find_connection(session, UUID(workspace))
    password = services.secrets.decrypt(connection.encrypted_webhook_password)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield Pushing(client, httpx.URL(connected["webhookUrl"]).path, password)


async def rows(database_url: str, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement, as the owner."""
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        return await (await owner.execute(statement.encode())).fetchall()


JOBS = "SELECT status FROM app.scheduled_jobs WHERE job_type = 'apply_provider_events'"
STORED = "SELECT body, content_type, applied_at IS NOT NULL FROM everlytic.webhook_deliveries ORDER BY id"


async def test_many_pushes_are_one_job(pushing: Pushing, database_url: str) -> None:
    """Pushes that arrive together are all stored and share one job; a later push joins it until it starts."""
    answers = await asyncio.gather(*(pushing.ask(b"%d" % number) for number in range(60)))
    await pushing.ask(b"later")

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.text for answer in answers} == {'{"stored":true,"duplicate":false}'}
    stored = [body for body, _, _ in await rows(database_url, STORED)]
    assert sorted(stored[:-1]) == sorted(b"%d" % number for number in range(60))
    assert stored[-1] == b"later"
    assert await rows(database_url, JOBS) == [("pending",)]


async def test_a_push_while_its_job_begins(
    services: Services, workspace: str, database_url: str, run_jobs: RunJobs
) -> None:
    """What trusts in a waiting job, and is committed only after that job has begun, is applied by it all the same."""
    scope = Scope(workspace_id=UUID(workspace))
    working: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    for content in (b"first", b"second"):
        async with transaction(services.pool, scope) as session:
            await service.store_deliveries(session, UUID(workspace), [Delivery("", content, services.clock.now())])
            if content == b"second":
                working = asyncio.ensure_future(run_jobs())
                while not await rows(database_url, "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
                    assert not working.done()
                    await asyncio.sleep(0.01)
    await working

    assert await rows(database_url, JOBS) == [("completed",)]
    assert [is_applied for _, _, is_applied in await rows(database_url, STORED)] == [True, True]


@pytest.mark.parametrize("change", ["status = 'running'", "run_at = run_at + interval '1 hour'", "status = 'failed'"])
async def test_a_job_that_does_not_wait_is_not_trusted(
    services: Services, workspace: str, database_url: str, change: str
) -> None:
    """A job that was begun, has failed or is put off may not see what comes now: it gets a job of its own."""
    for _ in range(2):
        async with transaction(services.pool, Scope(workspace_id=UUID(workspace))) as session:
            await service.store_deliveries(session, UUID(workspace), [Delivery("", b"", services.clock.now())])
        async with await psycopg.AsyncConnection.connect(database_url) as owner:
            await owner.execute(f"UPDATE app.scheduled_jobs SET {change}".encode())
    assert len(await rows(database_url, JOBS)) == 2


async def test_a_large_batch_is_stored_in_parts(services: Services, workspace: str, database_url: str) -> None:
    """More than a statement may carry is stored in order by several, in one transaction."""
    large = service.MAX_STATEMENT_BYTES // 3
    bodies = [b"%d" % number + bytes(large) for number in range(5)]
    async with transaction(services.pool, Scope(workspace_id=UUID(workspace))) as session:
        now = services.clock.now()
        await service.store_deliveries(session, UUID(workspace), [Delivery("", body, now) for body in bodies])

    sizes = "SELECT substr(body, 1, 1), octet_length(body), xmin::text FROM everlytic.webhook_deliveries ORDER BY id"
    stored = await rows(database_url, sizes)
    assert [(first, size) for first, size, _ in stored] == [(b"%d" % number, large + 1) for number in range(5)]
    assert len({transaction_id for _, _, transaction_id in stored}) == 1


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"", {}),
        (b"test", {"Content_Type": "text/plain"}),
        (b"\xff\x00", {"Content_Type": "application/x-www-form-urlencoded"}),
        (b"\x1f\x8b...", {"Content_Type": "application/json", "Content_Encoding": "gzip"}),
        (b"--x--", {"Content_Type": "multipart/form-data; boundary=x"}),
        (b"{}", {"Content_Type": "application/json; charset=latin-1"}),
    ],
)
async def test_any_body_is_stored_as_it_came(
    pushing: Pushing, database_url: str, content: bytes, headers: dict[str, str]
) -> None:
    """Nothing is parsed, decoded or refused at the door: what Everlytic posts as a test is answered 200 as well."""
    answer = await pushing.ask(content, **headers)
    assert answer.status_code == 200
    stored = await rows(database_url, STORED)
    assert stored == [(content, headers.get("Content_Type", "application/json"), False)]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_other_methods_are_refused(pushing: Pushing, database_url: str, method: str) -> None:
    """A webhook registered with another verb, and who opens the address in a browser, are told that this is wrong."""
    answer = await pushing.ask(method=method)
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
    assert await rows(database_url, STORED) == []


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "Basic  "])
async def test_credentials_however_written(pushing: Pushing, scheme: str) -> None:
    """The scheme in any case, and spaces after it, are the same credentials."""
    given = f"everlytic:{pushing.password}".encode()
    for written, status in ((given, 200), (given + b"x", 401), (given[:-1], 401)):
        answer = await pushing.ask(Authorization=f"{scheme} {base64.b64encode(written).decode()}")
        assert answer.status_code == status
