import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from ai.settings import AiSettings
from api.app import create_app
from api.http.logs import JsonLines
from api.settings import ApiSettings
from database.engine import create_pool
from database.roles import owner_url
from tests import ROOT
from tests.postgres import drop_database

pytestmark = pytest.mark.anyio


async def test_live_answers_while_the_process_does(app_client: httpx.AsyncClient) -> None:
    """Liveness asks nothing of the database and needs no credential."""
    response = await app_client.get("/health/live", headers={"Authorization": ""})
    assert response.status_code == 200
    assert response.json() == {"status": "live"}


async def test_ready_follows_the_schema(app_client: httpx.AsyncClient, database_url: str) -> None:
    """Readiness is 200 on the right schema, and a 503 problem that names both revisions on another."""
    ready = await app_client.get("/health/ready")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    owner = create_pool(owner_url(database_url), size=1)
    async with owner.begin() as connection:
        await connection.execute(text("UPDATE public.alembic_version SET version_num = '0000'"))
    await owner.dispose()

    response = await app_client.get("/health/ready")

    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "not_ready"
    newest = max(path.name[:4] for path in (ROOT / "database" / "migrations" / "versions").glob("[0-9]*.py"))
    sentence = f"The database schema is at revision 0000, and this code needs {newest}. Run `salesmatter migrate`."
    assert response.json()["detail"] == sentence


async def test_ready_says_when_the_database_is_away(
    app_client: httpx.AsyncClient, database_url: str, postgres_url: str
) -> None:
    """A database that is gone is a 503 problem, not a crash."""
    drop_database(postgres_url, database_url.rpartition("/")[2])
    response = await app_client.get("/health/ready")
    assert (response.status_code, response.json()["code"]) == (503, "not_ready")


async def test_json_answers_carry_a_tag_and_304_when_it_is_known(app_client: httpx.AsyncClient, workspace: str) -> None:
    """The same answer has the same strong tag, which comes back as 304 without a body, until the answer changes."""
    url = f"/api/workspaces/{workspace}"
    first = await app_client.get(url)
    etag = first.headers["ETag"]
    assert etag.startswith('"')
    assert (await app_client.get(url)).headers["ETag"] == etag

    known = await app_client.get(url, headers={"If-None-Match": f'"another", W/{etag}'})
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["ETag"] == etag

    await app_client.patch(url, json={"name": "Renamed"})
    changed = await app_client.get(url, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


async def test_errors_and_pages_carry_no_tag(app_client: httpx.AsyncClient) -> None:
    """Only a successful JSON response has an ETag, so that no client caches an error."""
    assert "ETag" not in (await app_client.get("/api/me", headers={"Authorization": ""})).headers
    assert "ETag" not in (await app_client.get("/")).headers


async def test_a_request_id_is_taken_or_given(app_client: httpx.AsyncClient) -> None:
    """A fit X-Request-Id is echoed, also inside a problem; one that could forge a line of the log is replaced."""
    named = await app_client.get("/api/nowhere", headers={"X-Request-Id": "trace-42"})
    assert named.headers["X-Request-Id"] == named.json()["requestId"] == "trace-42"
    forged = await app_client.get("/api/nowhere", headers={"X-Request-Id": "a b<script>"})
    assert len(forged.headers["X-Request-Id"]) == 32


async def test_each_request_is_one_line_of_json(
    app_client: httpx.AsyncClient, workspace: str, api_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The line has id, method, path template, status, time and workspace, and neither key nor body nor query."""
    with caplog.at_level(logging.INFO, logger="api.http.middleware"):
        await app_client.get(
            f"/api/workspaces/{workspace}/jobs", params={"type": "send_email"}, headers={"X-Request-Id": "r1"}
        )
    (record,) = [one for one in caplog.records if one.name == "api.http.middleware"]
    written = JsonLines().format(record)
    line = json.loads(written)
    assert "\n" not in written
    assert line["milliseconds"] > 0
    assert line["account_id"] == (await app_client.get("/api/me")).json()["account"]["id"]
    assert {name: line[name] for name in ("request_id", "method", "path", "status", "workspace_id")} == {
        "request_id": "r1",
        "method": "GET",
        "path": "/api/workspaces/{workspaceId}/jobs",
        "status": 200,
        "workspace_id": workspace,
    }
    assert api_key not in written
    assert "send_email" not in written


async def test_an_unexpected_error_is_a_problem(
    app: FastAPI, app_client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected error answers 500 as a problem with the request id and without its text, which the log has."""

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError("secret detail")

    response = await app_client.get("/crash", headers={"X-Request-Id": "r2"})

    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert response.json()["requestId"] == "r2"
    assert "secret detail" not in response.text
    assert "secret detail" in caplog.text


@pytest.fixture
async def small(database_url: str, api_settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A service that reads at most one megabyte of JSON, two of a file, lets one origin in and knows its neighbours."""
    update = {"max_body_megabytes": 2, "max_json_megabytes": 1, "cors_origins": ["https://app.example"]}
    neighbours = {"dagster_url": "http://dagster.example/?a&b", "dbt_docs_url": "http://dbt.example"}
    settings = api_settings.model_copy(update={**update, **neighbours})
    app = create_app(settings, AiSettings(), owner_url(database_url))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        yield client


async def test_a_body_that_is_too_large_is_refused(small: httpx.AsyncClient) -> None:
    """A body over the limit of its kind answers 413 as a problem, its length announced or only found out."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 600_000

    as_json = {"Content-Type": "application/json"}
    announced = await small.post("/api/workspaces", content=b"x" * 1_100_000, headers=as_json)
    chunked = await small.post("/api/workspaces", content=chunks(), headers=as_json)
    boundless = await small.post("/api/workspaces", content=b"x", headers={**as_json, "Content-Length": "9" * 5000})
    as_file = {"Content-Type": "text/csv", "Authorization": "Bearer sm_unknown"}
    file = await small.post("/api/workspaces", content=b"x" * 2_200_000, headers=as_file)
    nobodys = await small.post("/api/workspaces", content=b"x" * 1_100_000, headers={"Content-Type": "text/csv"})
    untyped = await small.post(
        "/api/workspaces", content=b"x" * 1_100_000, headers={"Authorization": as_file["Authorization"]}
    )
    assert (await small.post("/api/workspaces", content=b"x" * 1_100_000, headers=as_file)).status_code != 413
    for response in (announced, boundless, chunked, file, nobodys, untyped):
        assert response.status_code == 413
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["code"] == "too_large"


@pytest.mark.parametrize(("more", "is_refused"), [(0, False), (1, True)])
async def test_a_body_of_exactly_the_limit_is_read(small: httpx.AsyncClient, more: int, *, is_refused: bool) -> None:
    """The limit itself is not too large, one byte more is, whether or not the length is in the headers."""
    body = b"x" * (1024 * 1024 + more)

    async def chunks() -> AsyncIterator[bytes]:
        yield body[:1000]
        yield body[1000:]

    headers = {"Content-Type": "application/json", "Authorization": "Bearer sm_unknown"}
    for content in (body, chunks()):
        response = await small.post("/api/workspaces", content=content, headers=headers)
        assert (response.status_code == 413) is is_refused


async def test_a_browser_of_a_known_origin_may_read_tags(small: httpx.AsyncClient) -> None:
    """Pages of a configured origin may read the answer, its tag and its request id, on errors too."""
    response = await small.get("/api/nowhere", headers={"Origin": "https://app.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
    exposed = set(response.headers["Access-Control-Expose-Headers"].split(", "))
    assert {"ETag", "X-Request-Id", "RateLimit-Remaining", "Retry-After"} <= exposed


async def test_a_browser_may_send_what_the_api_takes(small: httpx.AsyncClient) -> None:
    """The preflight allows a page of a configured origin each method and header of the API, and no other page."""
    names = "authorization, content-type, idempotency-key, if-match, if-none-match, x-request-id"
    headers = {"Access-Control-Request-Headers": names}
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        headers |= {"Origin": "https://app.example", "Access-Control-Request-Method": method}
        allowed = await small.options("/api/me", headers=headers)
        refused = await small.options("/api/me", headers={**headers, "Origin": "https://evil.example"})
        assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, "https://app.example")
        assert method in allowed.headers["Access-Control-Allow-Methods"].split(", ")
        assert set(names.split(", ")) <= {
            name.strip().lower() for name in allowed.headers["Access-Control-Allow-Headers"].split(",")
        }
        assert (refused.status_code, "Access-Control-Allow-Origin" in refused.headers) == (400, False)


async def test_the_front_page_links_what_there_is(app_client: httpx.AsyncClient, small: httpx.AsyncClient) -> None:
    """The root page leads to the API's documentation, and to Dagster and the dbt docs where it is told of them."""
    page = await small.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    links = ('href="/docs"', 'href="http://dagster.example/?a&amp;b"', 'href="http://dbt.example"')
    assert all(link in page.text for link in links)
    alone = (await app_client.get("/")).text
    assert 'href="/docs"' in alone
    assert "Dagster" not in alone
    assert "dbt docs" not in alone


async def test_the_documentation_works_offline(app_client: httpx.AsyncClient) -> None:
    """The documentation page loads nothing from elsewhere, and what it loads is served and can show OpenAPI 3.1."""
    page = (await app_client.get("/docs")).text
    assert "https://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/static/docs/{name}" in page
        assert (await app_client.get(f"/static/docs/{name}")).status_code == 200
    script = (await app_client.get("/static/docs/swagger-ui-bundle.js")).text
    assert "isOAS31" in script, "this Swagger UI cannot show OpenAPI 3.1"
