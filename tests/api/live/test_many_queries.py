import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import psycopg
import pytest

from database.roles import libpq_url, owner_url
from tests.api.live.rfc6902 import patched
from tests.api.live.test_live import SOON, STREAM, Live, add_job, live, owner, rename

__all__ = ["live", "owner", "rename"]

pytestmark = pytest.mark.anyio

Rename = Callable[[str], Awaitable[None]]
JOBS = 40


@pytest.fixture
def home(workspace: str) -> str:
    """The path of the workspace."""
    return f"/api/workspaces/{workspace}"


def many(home: str, *queries: str, **more: str) -> str:
    """Return the URL of a batch of queries, encoded like in a browser."""
    parameters = [
        *(f"query={quote(query, safe='')}" for query in queries),
        *(f"{name}={one}" for name, one in more.items()),
    ]
    return f"{home}/live?{'&'.join(parameters)}"


async def test_each_query_returns_its_own_result(
    app_client: httpx.AsyncClient, home: str, owner: psycopg.AsyncConnection, workspace: str
) -> None:
    """Results are in the order of the queries, one of them twice, each with its own body and tag."""
    await add_job(owner, workspace)
    queries = [f"{home}/jobs?type=by_hand&limit=5", home, f"{home}/leads", home]
    answer = await app_client.get(many(home, *queries))
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [one["query"] for one in results] == queries
    for one in results:
        plain = await app_client.get(one["query"])
        assert one == {
            "query": one["query"],
            "status": 200,
            "etag": plain.headers["ETag"],
            "result": plain.json(),
        }


async def test_parameters_are_read_as_they_were_written(app_client: httpx.AsyncClient, home: str) -> None:
    """Letters of any alphabet are accepted, with or without a second encoding."""
    for email, company in (("a@lead.example", "Ünïted & Co"), ("b@lead.example", "United Co")):
        (await app_client.post(f"{home}/leads", json={"email": email, "company": company})).raise_for_status()
    careful, careless = f"{home}/leads?q={quote('Ünïted & Co')}", f"{home}/leads?q=Ünïted"
    found = (await app_client.get(many(home, careful, careless))).json()["results"]
    assert [[row["email"] for row in one["result"]["items"]] for one in found] == [["a@lead.example"]] * 2


async def test_a_problem_of_one_query_does_not_affect_the_others(app_client: httpx.AsyncClient, home: str) -> None:
    """Not found, malformed, or failed in the database: each has its problem, and the others have their results."""
    workspace = home.rpartition("/")[2]
    queries = [
        f"{home}/leads/{uuid4()}",
        f"{home}/leads?limit=0",
        f"/api/metrics/{workspace}/campaigns",
        f"{home}/leads?q=%00",
        f"{home}/nothing",
        f"{home}/leads",
    ]
    results = (await app_client.get(many(home, *queries))).json()["results"]
    assert [one["status"] for one in results] == [404, 422, 404, 422, 404, 200]
    assert [one.get("problem", {}).get("code") for one in results] == [
        "not_found",
        "malformed",
        "analytics_not_built",
        "malformed",
        "not_found",
        None,
    ]
    assert results[-1]["result"] == (await app_client.get(f"{home}/leads")).json()
    assert all("result" not in one for one in results[:-1])


async def test_an_unchanged_problem_has_the_same_tag(app_client: httpx.AsyncClient, home: str) -> None:
    """With a problem among the results an unchanged batch returns 304 too."""
    url = many(home, f"{home}/leads/{uuid4()}", home)
    known = (await app_client.get(url)).headers["ETag"]
    assert (await app_client.get(url, headers={"If-None-Match": known})).status_code == 304


@pytest.mark.parametrize(
    "query",
    [
        "/api/workspaces/{other}/leads",
        "/api/metrics/{other}/campaigns",
        "/api/workspaces/{workspace}0/leads",
        "/api/workspaces",
        "/api/me",
        "/openapi.json",
        "https://elsewhere.example/api/workspaces/{workspace}/leads",
        "//elsewhere.example/api/workspaces/{workspace}/leads",
        "//[",
        "api/accounts/workspaces/{workspace}/leads",
        "",
        "/api/workspaces/{workspace}/live?query=/api/workspaces/{workspace}",
        "/api/workspaces/{workspace}/live/",
        "/api/workspaces/{workspace}/%6Cive?query=/api/workspaces/{workspace}",
        "/api/workspaces/{workspace}/leads/",
        "/api/workspaces/{workspace}/suppressions/export",
    ],
)
async def test_an_invalid_query_is_named(app_client: httpx.AsyncClient, home: str, workspace: str, query: str) -> None:
    """Another workspace, another server, the batch itself, a file: the batch is rejected with the query's location."""
    url = many(home, home, query.format(workspace=workspace, other=uuid4()))
    for headers in ({}, STREAM):
        refused = await app_client.get(url, headers=headers)
        assert refused.status_code == 422, refused.text
        assert [one["location"] for one in refused.json()["errors"]] == [["query", "query", 1]]


async def test_the_number_of_queries_is_limited(app_client: httpx.AsyncClient, home: str) -> None:
    """At most fifty, and at least one."""
    for number, status in ((0, 422), (1, 200), (50, 200), (51, 422)):
        assert (await app_client.get(many(home, *[home] * number))).status_code == status


async def test_a_server_error_of_one_query_fails_the_batch(
    app_client: httpx.AsyncClient, home: str, owner: psycopg.AsyncConnection, database_url: str
) -> None:
    """A query that the database cancels fails the batch with 503, and the sentence names the query."""
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url(database_url))) as holding:
        await holding.execute("LOCK TABLE app.lead_lists")
        asking = asyncio.create_task(app_client.get(many(home, home, f"{home}/lead-lists")))
        async with asyncio.timeout(SOON):
            while not await _cancel_who_waits(owner):  # noqa: ASYNC110 - the database sends no event; there is a deadline
                await asyncio.sleep(0.01)
        refused = await asking
    assert (refused.status_code, refused.json()["code"]) == (503, "not_available")
    assert f"{home}/lead-lists" in refused.json()["detail"]


async def _cancel_who_waits(owner: psycopg.AsyncConnection) -> bool:
    cancelled = await owner.execute(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return cancelled.rowcount > 0


async def test_a_file_is_sent_as_a_file(app_client: httpx.AsyncClient, home: str) -> None:
    """A response that is no JSON is sent once and normally, also to a client that accepts a stream."""
    url = f"{home}/suppressions/export"
    async with asyncio.timeout(SOON):
        response = await app_client.get(url, headers=STREAM)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.content == (await app_client.get(url)).content


async def test_a_batch_reacts_to_the_tables_of_all_queries(
    live: Live, home: str, workspace: str, rename: Rename, owner: psycopg.AsyncConnection
) -> None:
    """A change to a table of any query sends all the results, each as the plain GET returns it."""
    queries = [home, f"{home}/jobs", f"{home}/leads"]
    async with live.stream(many(home, *queries)) as stream:
        assert [one["status"] for one in (await stream.next()).result["results"]] == [200] * 3
        await rename("Renamed")
        renamed, _, _ = (await stream.next()).result["results"]
        assert renamed["result"]["name"] == "Renamed"
        await add_job(owner, workspace)
        _, jobs, _ = (await stream.next()).result["results"]
        assert len(jobs["result"]["items"]) == 1
        (await live.http.post(f"{home}/leads", json={"email": "a@lead.example"})).raise_for_status()
        event = await stream.next()
        for one in event.result["results"]:
            plain = await live.http.get(one["query"])
            assert (one["result"], one["etag"]) == (plain.json(), plain.headers["ETag"])


async def test_a_patch_of_a_batch_has_only_the_changed_result(live: Live, home: str, rename: Rename) -> None:
    """When one result changes no other one is sent, and the patched batch is the plain one."""
    (await live.http.post(f"{home}/leads", json={"email": "a@lead.example"})).raise_for_status()
    url = many(home, f"{home}/leads", home, f"{home}/jobs")
    async with live.stream(f"{url}&delta=json-patch") as stream:
        before = (await stream.next()).result
        await rename("Renamed")
        event = await stream.next()
        assert event.event == "patch"
        assert {one["path"].split("/")[2] for one in event.result} == {"1"}
        plain = await live.http.get(url)
        assert (patched(before, event.result), event.id) == (plain.json(), plain.headers["ETag"])


async def test_two_lists_are_consistent(
    live: Live, home: str, workspace: str, owner: psycopg.AsyncConnection, database_url: str
) -> None:
    """While jobs move between two lists, each batch has every job in exactly one of them."""
    for _ in range(JOBS):
        await add_job(owner, workspace)
    sides = [f"{home}/jobs?type={side}&limit=500" for side in ("by_hand", "otherwise")]
    async with changing_sides(database_url), live.stream(many(home, *sides)) as stream:
        seen: set[int] = set()
        for _ in range(15):
            left, right = (_ids(one["result"]) for one in (await stream.next()).result["results"])
            assert not left & right
            assert len(left | right) == JOBS
            seen.add(len(left))
    assert len(seen) > 1


def _ids(page: Any) -> set[str]:
    return {one["id"] for one in page["items"]}


@contextlib.asynccontextmanager
async def changing_sides(database_url: str) -> AsyncIterator[None]:
    """Move jobs between two types with two writers, as fast as possible, while the block runs."""

    async def write() -> None:
        async with await psycopg.AsyncConnection.connect(
            libpq_url(owner_url(database_url)), autocommit=True
        ) as connection:
            while True:
                await connection.execute(
                    "UPDATE app.scheduled_jobs"
                    "   SET job_type = CASE job_type WHEN 'by_hand' THEN 'otherwise' ELSE 'by_hand' END"
                    " WHERE id IN (SELECT id FROM app.scheduled_jobs ORDER BY random() LIMIT 7 FOR UPDATE SKIP LOCKED)"
                )

    writers = [asyncio.create_task(write()) for _ in range(2)]
    try:
        yield
    finally:
        for one in writers:
            one.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
