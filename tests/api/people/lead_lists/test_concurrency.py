import asyncio
from collections.abc import Awaitable
from uuid import UUID

import httpx
import psycopg
import pytest

from api.http.resources import Services
from api.people.lead_lists import service
from api.people.leads import service as leads
from database.tenancy import Scope, transaction
from tests.api.lead_requests import add_list, leads_of

pytestmark = pytest.mark.anyio


async def made_to_wait(database_url: str, act: Awaitable[httpx.Response]) -> "asyncio.Future[httpx.Response]":
    """Start a request that must wait for another transaction, and return it once it waits."""
    acting = asyncio.ensure_future(act)
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(database_url, autocommit=True) as connection:
        while connection.execute(waiting).fetchone() is None:
            assert not acting.done(), "it did not wait"
            await asyncio.wait({acting}, timeout=0.01)
    return acting


async def test_a_lead_that_joins_while_its_list_goes(
    app_client: httpx.AsyncClient, base: str, workspace: str, services: Services, database_url: str
) -> None:
    """A list is deleted only after those who are joining it are in, so that no lead is left in a list that is gone."""
    workspace_id, list_id = UUID(workspace), await add_list(app_client, base)
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        values = {"email": "ann@example.com", "list_id": UUID(list_id)}
        await leads.create_lead(session, workspace_id, values)
        deleting = await made_to_wait(database_url, app_client.delete(f"{base}/lead-lists/{list_id}"))
    assert (await deleting).status_code == 204
    assert [lead["listId"] for lead in await leads_of(app_client, base)] == [None]


async def test_a_list_that_goes_while_a_lead_joins(
    app_client: httpx.AsyncClient, base: str, workspace: str, services: Services, database_url: str
) -> None:
    """Who joins a list that is being deleted waits for that, and is then told that it is not there."""
    workspace_id, list_id = UUID(workspace), await add_list(app_client, base)
    body = {"email": "ann@example.com", "listId": list_id}
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        await service.delete_list(session, await service.lock_list_exclusive(session, workspace_id, UUID(list_id)))
        joining = await made_to_wait(database_url, app_client.post(f"{base}/leads", json=body))
    assert (await joining).status_code == 404
    assert await leads_of(app_client, base) == []
