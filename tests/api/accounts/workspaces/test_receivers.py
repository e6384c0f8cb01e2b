"""How long a webhook token is known without a look at the database, by a clock that the test sets."""

from dataclasses import dataclass
from uuid import UUID

import httpx
import psycopg
import pytest

from api.accounts.workspaces.receivers import CACHE_SECONDS, ReceiverCache
from api.http.errors import NotFound
from api.http.resources import Services
from tests.api.waiting import until_waiting

pytestmark = pytest.mark.anyio

TICK = 0.001


@dataclass(slots=True)
class Seconds:
    """A clock that stands still until it is set."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return what it shows."""
        return self.now


@dataclass(frozen=True, slots=True)
class WebhookLookup:
    """A workspace's webhook token, and a look-up that goes by a clock of the test."""

    receivers: ReceiverCache
    seconds: Seconds
    token: str

    async def password(self) -> str:
        """Return the password of the token's webhook."""
        return (await self.receivers.find(self.token)).password


@pytest.fixture
async def lookup(app_client: httpx.AsyncClient, workspace: str, services: Services) -> WebhookLookup:
    """Connect the workspace to an Everlytic address that is never called here."""
    urls = {"transactionalUrl": "http://127.0.0.1:1/transactional", "tenantUrl": "http://127.0.0.1:1/api"}
    body = {**urls, "username": "acme", "apiKey": "none"}
    connected = await app_client.put(f"/api/workspaces/{workspace}/everlytic-connection", json=body)
    seconds = Seconds()
    receivers = ReceiverCache(services.pool, services.secrets, seconds)
    lookup = WebhookLookup(receivers, seconds, connected.json()["webhookUrl"].rpartition("/")[2])
    assert (await receivers.find(lookup.token)).workspace_id == UUID(workspace)
    return lookup


async def test_a_token_is_known_for_some_seconds(lookup: WebhookLookup, services: Services, database_url: str) -> None:
    """Until its time is over a token stands for what was found; then it is looked up, and known again for as long."""
    first = await lookup.password()
    put_password(services, database_url, "second")
    lookup.seconds.now = CACHE_SECONDS - TICK
    assert await lookup.password() == first
    lookup.seconds.now = CACHE_SECONDS
    assert await lookup.password() == "second"
    put_password(services, database_url, "third")
    lookup.seconds.now = 2 * CACHE_SECONDS - TICK
    assert await lookup.password() == "second"


async def test_a_token_that_is_gone_is_forgotten(lookup: WebhookLookup, database_url: str) -> None:
    """Once a look at the database has found a token gone, it is unknown, at that moment and from then on."""
    run(database_url, "DELETE FROM app.everlytic_connections")
    lookup.seconds.now = CACHE_SECONDS - TICK
    await lookup.password()
    lookup.seconds.now = CACHE_SECONDS
    for _ in range(2):
        with pytest.raises(NotFound):
            await lookup.password()


async def test_others_go_by_what_is_known_while_one_asks(
    lookup: WebhookLookup, services: Services, database_url: str
) -> None:
    """While one request looks an old token up, another is answered by what was known; then both know what is new."""
    first = await lookup.password()
    put_password(services, database_url, "second")
    lookup.seconds.now = CACHE_SECONDS
    with psycopg.connect(database_url) as other, psycopg.connect(database_url, autocommit=True) as watcher:
        other.execute("LOCK TABLE app.everlytic_connections")
        asking = await until_waiting(watcher, lookup.password())
        assert await lookup.password() == first
        other.commit()
        assert await asking == "second"
    assert await lookup.password() == "second"


def run(database_url: str, statement: str, *values: object) -> None:
    """Run a statement as the owner, committed at once."""
    with psycopg.connect(database_url) as owner:
        owner.execute(statement.encode(), values)


def put_password(services: Services, database_url: str, password: str) -> None:
    """Give the webhook another password."""
    statement = "UPDATE app.everlytic_connections SET encrypted_webhook_password = %s"
    run(database_url, statement, services.secrets.encrypt(password))
