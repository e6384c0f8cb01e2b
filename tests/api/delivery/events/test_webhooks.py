import httpx
import psycopg
import pytest
from fastapi import FastAPI

from api.accounts.workspaces import service as workspaces
from api.http.resources import Services
from database.tenancy import Scope, transaction
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio


async def test_an_unknown_token_is_not_found(app: FastAPI) -> None:
    """A push to a token that no workspace has is a 404."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as stranger:
        response = await stranger.post("/api/webhooks/everlytic/unknown", json={})

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_wrong_credentials_store_nothing(outreach: Outreach) -> None:
    """The token alone is not enough: without the registered Basic credentials a push is refused."""
    _, mail = await outreach.send_one()
    before = (await outreach.get("/events"))["items"]
    body = {
        "id": "1",
        "type": "unsubscribe",
        "timestamp": "2026-01-05T15:41:31Z",
        "data": [
            {
                "transaction": {"id": mail["transaction_id"], "message_id": mail["message_id"]},
                "recipient": {"email": "thandi@lead.example"},
            }
        ],
    }

    async with httpx.AsyncClient(timeout=30) as http:
        response = await http.post(outreach.webhook_url, json=body, auth=("everlytic", "a guess"))
    await outreach.run_jobs()

    assert response.status_code == 401
    assert before == (await outreach.get("/events"))["items"]


async def test_an_unreadable_push_is_stored_and_blocks_nothing(
    outreach: Outreach, services: Services, database_url: str
) -> None:
    """What cannot be parsed is stored, answered 200, and events after it still apply."""
    _, mail = await outreach.send_one()
    async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
        connection = await workspaces.find_connection(session, outreach.workspace_id)
    password = services.secrets.decrypt(connection.encrypted_webhook_password)

    async with httpx.AsyncClient(timeout=30) as http:
        response = await http.post(outreach.webhook_url, content=b"\x00 no JSON", auth=("everlytic", password))
    await outreach.hear(mail, "delivered")

    assert response.status_code == 200
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        kept = await owner.execute(
            "SELECT applied_at IS NOT NULL FROM everlytic.webhook_deliveries WHERE body = %s", [b"\x00 no JSON"]
        )
        assert await kept.fetchall() == [(True,)]
    assert (await outreach.get("/events", type="delivered"))["items"] != []
