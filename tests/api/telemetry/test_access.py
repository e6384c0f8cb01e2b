import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.settings import ApiSettings

pytestmark = pytest.mark.anyio

TOKEN = "what only Prometheus knows"


@pytest.fixture
def api_settings(api_settings: ApiSettings, request: pytest.FixtureRequest) -> ApiSettings:
    """Settings with the token of the test's marker."""
    return api_settings.model_copy(update={"metrics_token": getattr(request, "param", None)})


async def status(app: FastAPI, *, address: str = "127.0.0.1", **headers: str) -> int:
    """Return the status of a scrape from an address."""
    transport = httpx.ASGITransport(app, client=(address, 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get("/metrics", headers={name.replace("_", "-"): one for name, one in headers.items()})
    if response.status_code != 200:
        assert response.headers["Content-Type"] == "application/problem+json"
        assert "salesmatter_" not in response.text
    return response.status_code


@pytest.mark.parametrize("api_settings", [SecretStr(TOKEN)], indirect=True)
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7"])
async def test_a_token_is_required_when_set(app: FastAPI, address: str) -> None:
    """A caller with the token may scrape from any machine; without it no caller may, not even from this machine."""
    assert await status(app, address=address, authorization=f"Bearer {TOKEN}") == 200
    assert await status(app, address=address) == 401
    assert await status(app, address=address, authorization=f"Bearer {TOKEN}s") == 401
    assert await status(app, address=address, authorization=f"Basic {TOKEN}") == 401


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
async def test_without_a_token_this_machine_may_scrape(app: FastAPI, address: str) -> None:
    """If no token is set, a scrape from this machine needs none."""
    assert await status(app, address=address) == 200


async def test_without_a_token_only_this_machine_may_scrape(app: FastAPI) -> None:
    """If no token is set, another machine is rejected, also through a proxy on this machine."""
    assert await status(app, address="10.0.0.7") == 403
    assert await status(app, address="test-client") == 403
    assert await status(app, x_forwarded_for="127.0.0.1") == 403
    assert await status(app, forwarded="for=10.0.0.7") == 403
    assert await status(app, via="1.1 front") == 403


async def test_metrics_are_not_in_openapi(app_client: httpx.AsyncClient) -> None:
    """The path is not in OpenAPI, so generated clients do not have it."""
    assert "/metrics" not in (await app_client.get("/openapi.json")).json()["paths"]


async def test_the_format_is_negotiated(app_client: httpx.AsyncClient) -> None:
    """A scraper that accepts OpenMetrics gets it, with the end marker of that format."""
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    response = await app_client.get("/metrics", headers={"Accept": accept})
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")
