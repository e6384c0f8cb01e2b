from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from api.resources import Services
from api.workspaces import service
from database.models import User, UserRole
from database.tenancy import Scope, transaction

pytestmark = pytest.mark.anyio


async def test_a_key_says_who_it_stands_for(app_client: httpx.AsyncClient) -> None:
    """The first key of an account is its admin's."""
    me = (await app_client.get("/api/me")).json()

    assert (me["account"]["name"], me["user"]["email"], me["user"]["role"]) == ("Acme", "ann@acme.example", "admin")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer sm_wrong"}, {"Authorization": "Basic YTpi"}])
async def test_without_a_key_nothing_is_answered(app: FastAPI, headers: dict[str, str]) -> None:
    """A missing, wrong or foreign credential is a 401 problem that names the way."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as stranger:
        response = await stranger.get("/api/workspaces", headers=headers)

    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_another_tenants_workspace_does_not_exist(app: FastAPI, services: Services, workspace: str) -> None:
    """A workspace of another account answers 404, to read and to write."""
    async with transaction(services.pool, Scope()) as session:
        other = await service.create_account(session, name="Other", user_name="Bo", email="bo@other.example")
    headers = {"Authorization": f"Bearer {other.api_key}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as stranger:
        answers = [
            await stranger.get(f"/api/workspaces/{workspace}"),
            await stranger.patch(f"/api/workspaces/{workspace}", json={"name": "Mine"}),
            await stranger.get(f"/api/workspaces/{workspace}/leads"),
            await stranger.get(f"/api/metrics/{workspace}/campaigns"),
        ]
        listed = (await stranger.get("/api/workspaces")).json()["items"]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert listed == []


async def test_a_member_may_not_connect_everlytic(
    app_client: httpx.AsyncClient, services: Services, workspace: str
) -> None:
    """Connections are for admins; a member gets 403."""
    me = (await app_client.get("/api/me")).json()
    async with transaction(services.pool, Scope(account_id=me["account"]["id"])) as session:
        await session.execute(update(User).values(role=UserRole.MEMBER))

    response = await app_client.put(f"/api/workspaces/{workspace}/everlytic-connection", json=CONNECTION)

    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


CONNECTION = {
    "transactionalUrl": "https://api.everlytic.example/transactional/email/v1",
    "tenantUrl": "https://t.everlytic.example/api/2.0",
    "username": "u",
    "apiKey": "a very secret key",
}


async def test_a_connection_keeps_its_secrets(app_client: httpx.AsyncClient, workspace: str) -> None:
    """The key is never shown again, and the webhook addresses appear once, when the connection is made."""
    path = f"/api/workspaces/{workspace}/everlytic-connection"
    made = await app_client.put(path, json=CONNECTION)
    shown = await app_client.get(path)

    assert {"webhookUrl", "inboundUrl"} <= set(made.json())
    assert not {"webhookUrl", "inboundUrl", "apiKey"} & set(shown.json())
    assert "a very secret key" not in made.text + shown.text


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"timezone": "Africa/Nowhere"}, "timezone"),
        ({"windowStart": "18:00:00", "windowEnd": "09:00:00"}, "windowStart"),
        ({"name": None}, "name"),
        ({"defaultFromEmail": "no address"}, "defaultFromEmail"),
        ({"sendingWeekdays": []}, "sendingWeekdays"),
        ({"dailyCap": 0}, "dailyCap"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_bad_settings_are_named(
    app_client: httpx.AsyncClient, workspace: str, change: dict[str, Any], field: str
) -> None:
    """A setting that makes no sense is a 422 that names it, and nothing changes."""
    before = (await app_client.get(f"/api/workspaces/{workspace}")).json()

    response = await app_client.patch(f"/api/workspaces/{workspace}", json=change)

    assert (response.status_code, response.json()["code"]) == (422, "malformed")
    assert field in response.text
    assert before == (await app_client.get(f"/api/workspaces/{workspace}")).json()
