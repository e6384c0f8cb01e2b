from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from ai.settings import AiSettings
from api.accounts import service
from api.app import create_app
from api.settings import ApiSettings
from database.roles import owner_url
from database.tenancy import Scope, transaction

pytestmark = pytest.mark.anyio

ALLOWED = 3


@pytest.fixture
async def limited(database_url: str, api_settings: ApiSettings) -> AsyncIterator[tuple[httpx.AsyncClient, str, str]]:
    """A service that answers each key three times an hour, and the keys of two accounts."""
    settings = api_settings.model_copy(update={"rate_limit": f"{ALLOWED}/hour"})
    app = create_app(settings, AiSettings(), owner_url(database_url))
    async with app.router.lifespan_context(app):
        keys = []
        for name in ("Acme", "Bell"):
            async with transaction(app.state.services.pool, Scope()) as session:
                made = await service.create_account(session, name=name, user_name="Ann", email="ann@acme.example")
            keys.append(made.api_key)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            yield client, keys[0], keys[1]


async def test_a_key_over_its_rate_limit_gets_retry_after(limited: tuple[httpx.AsyncClient, str, str]) -> None:
    """Each answer says what is left; past the limit it is 429 with Retry-After, for this key alone."""
    client, ours, theirs = limited
    headers = {"Authorization": f"Bearer {ours}"}
    left = [(await client.get("/api/me", headers=headers)).headers["RateLimit-Remaining"] for _ in range(ALLOWED)]
    refused = await client.get("/api/me", headers=headers)
    other = await client.get("/api/me", headers={"Authorization": f"Bearer {theirs}"})

    assert left == ["2", "1", "0"]
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["requestId"] == refused.headers["X-Request-Id"]
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert refused.headers["RateLimit-Limit"] == str(ALLOWED)
    assert refused.headers["RateLimit-Policy"] == f"{ALLOWED};w=3600"
    assert other.status_code == 200


async def test_what_carries_no_key_is_not_counted(limited: tuple[httpx.AsyncClient, str, str]) -> None:
    """Health checks and unsubscribe links are answered however often they are asked."""
    client, *_ = limited
    for _ in range(ALLOWED + 1):
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/u/unknown")).status_code == 404


@pytest.mark.parametrize("rate", ["", "many", "0/fortnight"])
def test_a_rate_that_is_none_stops_the_start(rate: str) -> None:
    """A rate limit that cannot be read is said at the start, by name."""
    with pytest.raises(ValueError, match="is not a rate such as 6000/minute"):
        ApiSettings(secret_key=SecretStr("k"), rate_limit=rate)


async def test_a_change_is_tagged_as_its_get_is(app_client: httpx.AsyncClient, workspace: str) -> None:
    """What a POST or a PATCH answers has the tag that a GET of the same thing answers, for the next If-Match."""
    leads = f"/api/workspaces/{workspace}/leads"
    made = await app_client.post(leads, json={"email": "a@lead.example"})
    one = f"{leads}/{made.json()['id']}"
    assert made.headers["ETag"] == (await app_client.get(one)).headers["ETag"]
    changed = await app_client.patch(one, json={"company": "Acme"})
    assert changed.headers["ETag"] == (await app_client.get(one)).headers["ETag"] != made.headers["ETag"]
