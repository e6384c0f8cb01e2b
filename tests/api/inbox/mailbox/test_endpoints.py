from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from api.accounts import service
from api.http.resources import Services
from database.tenancy import Scope, transaction

pytestmark = pytest.mark.anyio

SECRET = "between us two"
BODY: dict[str, Any] = {"host": "imap.acme.example", "username": "ann@acme.example", "password": SECRET}


@pytest.fixture
def path(workspace: str) -> str:
    """Return the path of the workspace's mailbox."""
    return f"/api/workspaces/{workspace}/mailbox"


async def test_a_mailbox_is_put_shown_and_deleted(app_client: httpx.AsyncClient, path: str) -> None:
    """A mailbox is returned as it was put, with defaults and without the password; a deleted one is not found."""
    assert (await app_client.get(path)).status_code == 404
    put = await app_client.put(path, json=BODY)
    assert put.status_code == 200, put.text
    assert put.json() == (await app_client.get(path)).json()
    usual = {"port": 993, "security": "tls", "folder": "INBOX", "polledAt": None, "failures": 0, "lastError": None}
    assert put.json().items() >= {**usual, "host": BODY["host"], "username": BODY["username"]}.items()
    changed = await app_client.put(path, json={**BODY, "security": "starttls", "readSince": "2026-01-31"})
    assert (changed.json()["port"], changed.json()["readSince"]) == (143, "2026-01-31")
    assert (await app_client.delete(path)).status_code == 204
    assert (await app_client.get(path)).status_code == 404
    assert (await app_client.delete(path)).status_code == 404


async def test_the_password_is_never_shown(app_client: httpx.AsyncClient, path: str, database_url: str) -> None:
    """No response and no table contains the password in plain text."""
    put = await app_client.put(path, json=BODY)
    assert SECRET not in put.text + (await app_client.get(path)).text
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        rows = await (await owner.execute("SELECT m::text FROM app.mailboxes m")).fetchall()
        rows += await (await owner.execute("SELECT j::text FROM app.scheduled_jobs j")).fetchall()
    assert rows
    assert all(SECRET not in row[0] for row in rows)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"security": "none"}, "security none sends the password unencrypted"),
        ({"security": "none", "host": "10.0.0.1"}, "security none sends the password unencrypted"),
        ({"host": "imap.acme.example\r\nA1 LOGOUT"}, "host"),
        ({"username": "ann\r\nA1 LOGOUT"}, "username"),
        ({"password": "x\r\nA1 LOGOUT"}, "password contains a control character"),
        ({"folder": "INBOX\r\nA1 LOGOUT"}, "folder"),
        ({"password": ""}, "password"),
        ({"port": 0}, "port"),
        ({"port": "993"}, "port"),
        ({"security": "ssl"}, "security"),
        ({"readSince": "yesterday"}, "readSince"),
    ],
)
async def test_invalid_mailboxes(app_client: httpx.AsyncClient, path: str, fields: dict[str, Any], says: str) -> None:
    """Invalid and insecure settings are rejected with the name of the field and without the password."""
    refused = await app_client.put(path, json={**BODY, **fields})
    assert refused.status_code == 422
    assert says in refused.text
    assert SECRET not in refused.text
    assert (await app_client.get(path)).status_code == 404


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
async def test_a_local_server_without_tls(app_client: httpx.AsyncClient, path: str, host: str) -> None:
    """A server on the same machine may be used without TLS."""
    assert (await app_client.put(path, json={**BODY, "host": host, "security": "none"})).status_code == 200


async def test_a_stale_etag_changes_nothing(app_client: httpx.AsyncClient, path: str) -> None:
    """With the ETag of another state, nothing is changed and nothing deleted."""
    tag = (await app_client.put(path, json=BODY)).headers["ETag"]
    assert (await app_client.put(path, json={**BODY, "port": 1}, headers={"If-Match": tag})).status_code == 200
    assert (await app_client.put(path, json=BODY, headers={"If-Match": tag})).status_code == 412
    assert (await app_client.delete(path, headers={"If-Match": tag})).status_code == 412
    assert (await app_client.get(path)).json()["port"] == 1


async def test_permissions(app_client: httpx.AsyncClient, app: FastAPI, services: Services, path: str) -> None:
    """A member can read the mailbox and not change it; another account gets 404, as for an unknown workspace."""
    await app_client.put(path, json=BODY)
    before = (await app_client.get(path)).json()
    bob = {"email": "bob@acme.example", "name": "Bob", "role": "member"}
    user = (await app_client.post("/api/users", json=bob)).json()["id"]
    key = (await app_client.post("/api/api-keys", json={"name": "k", "userId": user})).json()["token"]
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as member:
        assert (await member.get(path)).status_code == 200
        assert (await member.put(path, json=BODY)).status_code == 403
        assert (await member.delete(path)).status_code == 403
    async with transaction(services.pool, Scope()) as session:
        other = await service.create_account(session, name="Other", user_name="Eve", email="eve@other.example")
    theirs = {"Authorization": f"Bearer {other.api_key}"}
    ours: dict[str, str] = {}
    unknown = path.replace(path.split("/")[3], "018f0000-0000-7000-8000-000000000000")
    for url, named in ((path, theirs), (unknown, ours)):
        for method in ("GET", "PUT", "DELETE"):
            body = {**BODY, "host": "imap.other.example"} if method == "PUT" else None
            assert (await app_client.request(method, url, json=body, headers=named)).status_code == 404
    assert (await app_client.get(path)).json() == before
