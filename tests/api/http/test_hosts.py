"""Hosts that tenants configure, as production treats them: without an allow-list."""

import httpx
import psycopg
import pytest

from api.settings import ApiSettings
from tests.api.running import RunJobs
from tests.egress.hostile import answering, sending

pytestmark = pytest.mark.anyio

URL = "https://api.everlytic.example/transactional/email/v1"
MAILBOX = {"username": "ann", "password": "a password", "readSince": "2020-01-01"}


@pytest.fixture
def api_settings(api_settings: ApiSettings) -> ApiSettings:
    """Settings that allow no network, as in production."""
    return api_settings.model_copy(update={"egress_allowed_networks": []})


def connecting(url: str, tenant_url: str = URL) -> dict[str, str]:
    """Return the body of a connection."""
    return {"transactionalUrl": url, "tenantUrl": tenant_url, "username": "u", "apiKey": "k"}


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "2130706433"]
)
async def test_a_connection_to_a_private_host_is_refused(
    app_client: httpx.AsyncClient, workspace: str, host: str
) -> None:
    """A URL with a host that is not on the internet answers 422 with its field, and nothing is stored."""
    path = f"/api/workspaces/{workspace}/everlytic-connection"
    bodies = {"transactionalUrl": connecting(f"http://{host}:8025/v1"), "tenantUrl": connecting(URL, f"http://{host}/")}
    for field, body in bodies.items():
        refused = await app_client.put(path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "host_not_allowed")
        assert refused.json()["errors"][0]["location"] == ["body", field]
        assert "Use a host on the internet" in refused.json()["detail"]
    assert (await app_client.get(path)).status_code == 404
    assert (await app_client.put(path, json=connecting(URL))).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "::1"])
async def test_a_mailbox_on_a_private_host_is_refused(app_client: httpx.AsyncClient, workspace: str, host: str) -> None:
    """A mailbox with a host that is not on the internet answers 422, and nothing is stored."""
    path = f"/api/workspaces/{workspace}/mailbox"
    refused = await app_client.put(path, json={"host": host, **MAILBOX})
    assert (refused.status_code, refused.json()["code"]) == (422, "host_not_allowed")
    assert refused.json()["errors"][0]["location"] == ["body", "host"]
    assert (await app_client.get(path)).status_code == 404


async def test_a_stored_private_host_is_refused_at_the_connection(
    app_client: httpx.AsyncClient, workspace: str, run_jobs: RunJobs, database_url: str
) -> None:
    """Hosts that became private after they were stored get no connection, and the errors say why."""
    path = f"/api/workspaces/{workspace}"
    await app_client.put(f"{path}/everlytic-connection", json=connecting(URL))
    await app_client.put(f"{path}/mailbox", json={"host": "imap.acme.example", **MAILBOX})
    async with answering(sending("200 OK", b"{}")) as (port, heads):
        async with await psycopg.AsyncConnection.connect(database_url) as owner:
            url = f"http://127.0.0.1:{port}"
            await owner.execute("UPDATE app.everlytic_connections SET transactional_url = %s", [url])
            await owner.execute("UPDATE app.mailboxes SET host = '127.0.0.1', port = %s", [port])
        await run_jobs()
        assert heads == []
    sentence = "The host 127.0.0.1 has an address to which connections are not allowed. Use a host on the internet."
    (job,) = (await app_client.get(f"{path}/jobs", params={"type": "register_webhook"})).json()["items"]
    assert sentence in job["lastError"]
    assert (await app_client.get(f"{path}/mailbox")).json()["lastError"] == sentence
