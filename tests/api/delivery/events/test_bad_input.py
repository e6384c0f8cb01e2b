"""What strangers may send to the doors that ask for no login."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from api.accounts.workspaces import service as workspaces
from api.http.resources import Services
from database.tenancy import Scope, transaction
from domain.unsubscribe_link import unsubscribe_token
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

TABLES = ("app.email_events", "app.replies", "app.suppressions", "everlytic.webhook_deliveries", "app.scheduled_jobs")
MEGABYTES_10 = b"x" * 10_000_000


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a login."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def rows_of(database_url: str) -> list[int]:
    """Return how many rows each table has that a stranger's request could write to."""
    counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in TABLES)
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        return list(await (await owner.execute(f"SELECT {counts}".encode())).fetchone() or ())


async def token_of(outreach: Outreach, services: Services) -> str:
    """Return the token of a link in a mail that was sent."""
    lead_id, mail = await outreach.send_one()
    key = services.settings.secret_key.get_secret_value()
    (draft,) = [one for one in (await outreach.get("/drafts"))["items"] if one["status"] == "sent"]
    assert mail["text"]
    ids = (outreach.workspace_id, *(UUID(one) for one in (lead_id, draft["id"])))
    return unsubscribe_token(key, *ids)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_broken_link(
    outreach: Outreach, services: Services, stranger: httpx.AsyncClient, database_url: str, method: str
) -> None:
    """A link that is cut, changed, made up or not even text shows the page that says so; no lead is unsubscribed."""
    token = await token_of(outreach, services)
    before = await rows_of(database_url)
    other = unsubscribe_token("another key", uuid4(), uuid4(), uuid4())
    gone = unsubscribe_token(services.settings.secret_key.get_secret_value(), outreach.workspace_id, uuid4(), uuid4())
    broken = [token[:-1], token[1:], token.swapcase(), "%00", "%ff%fe", "x" * 5000, other, gone, "ä"]
    for one in broken:
        answer = await stranger.request(method, f"/u/{one}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8"), one
        assert "does not work" in answer.text
    assert await rows_of(database_url) == before


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (b"", "text/plain"),
        (b"{", "application/json"),
        (b"\x00\xff", "multipart/form-data"),
        (MEGABYTES_10, "application/octet-stream"),
    ],
)
async def test_a_no_counts_whatever_it_is_sent_as(
    outreach: Outreach, services: Services, stranger: httpx.AsyncClient, content: bytes, content_type: str
) -> None:
    """Mail programs post the one click in many ways; the link alone says whose no it is."""
    token = await token_of(outreach, services)
    answer = await stranger.post(f"/u/{token}", content=content, headers={"Content-Type": content_type})
    assert answer.status_code == 200
    assert len((await outreach.get("/suppressions"))["items"]) == 1


async def test_unauthorized_pushes(outreach: Outreach, stranger: httpx.AsyncClient, database_url: str) -> None:
    """Unknown tokens of any form are not found, wrong credentials are refused, and nothing is written."""
    before = await rows_of(database_url)
    for token in ("x", "%00", "%ff", "x" * 5000, "..%2f..", "ä"):
        for kind in ("everlytic", "inbound"):
            answer = await stranger.post(f"/api/webhooks/{kind}/{token}", content=b"{}")
            assert answer.status_code == 404, (kind, token)
    path = httpx.URL(outreach.webhook_url).path
    for credentials in ("", "Basic", "Basic %%%", "Basic AAAA", "Bearer x", "Basic \xff", "Basic " + "A" * 5000):
        answer = await stranger.post(path, content=b"{}", headers=[(b"Authorization", credentials.encode("latin-1"))])
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), credentials
    assert await rows_of(database_url) == before


async def test_a_push_that_is_too_large(
    outreach: Outreach, services: Services, stranger: httpx.AsyncClient, database_url: str
) -> None:
    """More than a push can hold is refused while it comes in, whatever length it announces, and nothing is written."""
    async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
        connection = await workspaces.find_connection(session, outreach.workspace_id)
    password = services.secrets.decrypt(connection.encrypted_webhook_password)
    before = await rows_of(database_url)

    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield MEGABYTES_10[:1_000_000]

    for content in (MEGABYTES_10, in_pieces()):
        path = httpx.URL(outreach.webhook_url).path
        answer = await stranger.post(path, content=content, auth=("everlytic", password))
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert await rows_of(database_url) == before


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (MEGABYTES_10, 422),
        (b"\x00" * 100, 422),
        (b"From: \xff\xfe@\x00\r\n\r\n", 422),
        (MEGABYTES_10 * 3, 413),
    ],
)
async def test_a_reply_that_is_none(
    outreach: Outreach, stranger: httpx.AsyncClient, database_url: str, content: bytes, status: int
) -> None:
    """What is no message, of any size, is refused, and nothing is written."""
    before = await rows_of(database_url)
    answer = await stranger.post(httpx.URL(outreach.inbound_url).path, content=content)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert await rows_of(database_url) == before


async def test_a_reply_with_an_id_of_any_length(outreach: Outreach, stranger: httpx.AsyncClient) -> None:
    """A Message-ID that no index could hold is stored as the message's own digest, once."""
    raw = b"From: thandi@lead.example\r\nMessage-ID: <" + b"x" * 20_000 + b">\r\n\r\nYes\r\n"
    path = httpx.URL(outreach.inbound_url).path
    answers = [(await stranger.post(path, content=raw)).json() for _ in range(2)]
    assert answers == [{"stored": True, "duplicate": known, "own": False} for known in (False, True)]
