from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from api.accounts.workspaces import service
from api.http.errors import WorkspaceGone
from api.http.resources import Services
from database.roles import connect, owner_url
from database.tenancy import Scope, transaction
from tests.api.sending_workspace import Outreach
from tests.api.waiting import until_waiting
from tests.business_clock import BUSINESS_NOW

pytestmark = pytest.mark.anyio


@pytest.fixture
def owner(database_url: str, services: Services) -> Iterator[psycopg.Connection]:
    """The owner of the tables, who sees what the API no longer shows."""
    with connect(owner_url(database_url)) as connection:
        yield connection


def jobs_of(owner: psycopg.Connection, job_type: str) -> list[tuple[Any, ...]]:
    """Return status, attempts and error of the jobs of a type."""
    statement = "SELECT status, attempts, last_error FROM app.scheduled_jobs WHERE job_type = %s ORDER BY id"
    return owner.execute(statement, [job_type]).fetchall()


async def ready_to_send(outreach: Outreach) -> str:
    """Put a mail on the queue that may go out at once, and return its draft's id."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    draft_id: str = (await outreach.get("/drafts"))["items"][0]["id"]
    return draft_id


async def test_nothing_is_sent_for_a_deleted_workspace(outreach: Outreach, owner: psycopg.Connection) -> None:
    """What waits on the queue at the deletion is called off, and says why."""
    await ready_to_send(outreach)
    assert (await outreach.client.delete(outreach.path)).status_code == 204
    await outreach.run_jobs()

    assert jobs_of(owner, "send_email") == [("cancelled", 0, "The workspace was deleted.")]
    assert outreach.mails() == []


async def test_a_job_that_comes_too_late_ends_at_once(outreach: Outreach, owner: psycopg.Connection) -> None:
    """A job that is queued by a transaction that had not seen the deletion is cancelled at its first attempt."""
    draft_id = await ready_to_send(outreach)
    assert (await outreach.client.delete(outreach.path)).status_code == 204
    late = "INSERT INTO app.scheduled_jobs (workspace_id, job_type, payload, scheduled_for, run_at, max_attempts)"
    for job_type, payload in (("send_email", {"draftId": draft_id}), ("register_webhook", {"token": "x"})):
        values = [outreach.workspace_id, job_type, Jsonb(payload)]
        owner.execute(f"{late} VALUES (%s, %s, %s, {BUSINESS_NOW}, {BUSINESS_NOW}, 20)", values)
    await outreach.run_jobs()

    assert jobs_of(owner, "send_email")[1:] == [("cancelled", 1, "The workspace was deleted.")]
    assert jobs_of(owner, "register_webhook")[-1:] == [("cancelled", 1, "The workspace was deleted.")]
    assert outreach.mails() == []


async def test_webhooks_of_a_deleted_workspace_lead_nowhere(outreach: Outreach, owner: psycopg.Connection) -> None:
    """Its webhook addresses answer 404, and nothing that comes in is stored."""
    assert (await outreach.client.delete(outreach.path)).status_code == 204

    for url in (outreach.webhook_url, outreach.inbound_url):
        answer = await outreach.client.post(url, json=[], headers={"Authorization": ""})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert owner.execute("SELECT count(*) FROM everlytic.webhook_deliveries").fetchone() == (0,)


@pytest.mark.parametrize("cap", [None, 5])
async def test_a_deletion_waits_for_what_is_being_claimed(
    app_client: httpx.AsyncClient, services: Services, workspace: str, owner: psycopg.Connection, cap: int | None
) -> None:
    """Who sends holds the workspace: the deletion comes after their claim, and who comes after it finds nothing."""
    path, scope = f"/api/workspaces/{workspace}", Scope(workspace_id=UUID(workspace))
    await app_client.patch(path, json={"dailyCap": cap})
    async with transaction(services.pool, scope) as session:
        assert (await service.lock_to_send(session, UUID(workspace))).daily_cap == cap
        deletion = await until_waiting(owner, app_client.delete(path))
    assert (await deletion).status_code == 204

    with pytest.raises(WorkspaceGone):
        async with transaction(services.pool, scope) as session:
            await service.lock_to_send(session, UUID(workspace))


async def test_a_claim_that_waited_for_a_deletion_finds_nothing(
    services: Services, workspace: str, owner: psycopg.Connection, database_url: str
) -> None:
    """Who asks while the deletion is under way is told that the workspace is gone once it is."""

    async def claim() -> None:
        async with transaction(services.pool, Scope(workspace_id=UUID(workspace))) as session:
            await service.lock_to_send(session, UUID(workspace))

    with owner.transaction():
        owner.execute("UPDATE app.workspaces SET deleted_at = now() WHERE id = %s", [workspace])
        with connect(owner_url(database_url)) as watcher:
            claiming = await until_waiting(watcher, claim())
    with pytest.raises(WorkspaceGone):
        await claiming


async def test_those_who_count_a_cap_take_turns(
    app_client: httpx.AsyncClient, services: Services, workspace: str, owner: psycopg.Connection
) -> None:
    """A second claim of a workspace with a daily cap waits for the first, so that both count the same mails."""
    await app_client.patch(f"/api/workspaces/{workspace}", json={"dailyCap": 5})
    order: list[str] = []

    async def claim() -> None:
        async with transaction(services.pool, Scope(workspace_id=UUID(workspace))) as session:
            await service.lock_to_send(session, UUID(workspace))
            order.append("second")

    async with transaction(services.pool, Scope(workspace_id=UUID(workspace))) as session:
        await service.lock_to_send(session, UUID(workspace))
        second = await until_waiting(owner, claim())
        order.append("first")
    await second
    assert order == ["first", "second"]


async def test_a_deletion_needs_the_tag_that_was_seen(app_client: httpx.AsyncClient, workspace: str) -> None:
    """Who has not seen the latest settings does not delete the workspace; without a tag it is deleted, once."""
    path = f"/api/workspaces/{workspace}"
    headers = {"If-Match": (await app_client.get(path)).headers["ETag"]}
    await app_client.patch(path, json={"name": "Renamed"})

    assert (await app_client.delete(path, headers=headers)).status_code == 412
    assert (await app_client.delete(path)).status_code == 204
    assert (await app_client.delete(path)).status_code == 404
