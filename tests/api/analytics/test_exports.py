"""The figures as CSV files, compared with the JSON responses row by row."""

import csv
import io
import re
from datetime import date, datetime
from typing import Any

import httpx
import psycopg
import pytest

from api.http.resources import Services
from tests.api.analytics.marts import (
    AS_OF,
    DAILY,
    FIGURES,
    add_campaign,
    add_step,
    database_url,
    insert,
    owner,
)

__all__ = ["database_url", "owner"]

pytestmark = pytest.mark.anyio

PERIOD = {"start": "2026-03-01", "end": "2026-03-03"}
SLICES = [
    ("campaigns", {}),
    ("campaigns", {"sort": "name", "kind": "sequence", "status": "Active", "q": "sp"}),
    ("campaigns/c/steps", {}),
    ("campaigns/4711/steps", {}),
    ("timeseries", PERIOD),
    ("timeseries", {**PERIOD, "campaignId": "c"}),
    ("aggregate", {}),
    ("aggregate", PERIOD),
    ("aggregate", {"start": "2026-03-02"}),
]


@pytest.fixture
async def marts(workspace: str, owner: psycopg.AsyncConnection) -> None:
    """Two sequences, a bulk email, days and periods, with values that are hard to write as CSV."""
    await add_campaign(owner, workspace, "c", name="Spring", status="Active", created_at=AS_OF, open_rate="0.00001")
    await add_campaign(owner, workspace, "b", name="Spring, too", status="Active", last_sent_at=AS_OF)
    await add_campaign(owner, workspace, "4711", kind="bulk", name="News", human_opened=None, reply_rate=None)
    for order in (2, 1):
        await add_step(owner, workspace, "c", order, delivery_rate="0.3333333333333333333")
    await add_step(owner, workspace, "4711", 1, kind="bulk", step_id=None, human_opened=None)
    for day in (date(2026, 2, 27), date(2026, 3, 2)):
        await insert(owner, "timeline_events", {"workspace_id": workspace, "day": day, **DAILY})
        await insert(owner, "campaign_days", {"workspace_id": workspace, "campaign_id": "c", "day": day, **DAILY})
        await insert(owner, "workspace_aggregates", {"workspace_id": workspace, "sent_on": day, **FIGURES})


def as_json(text: str, like: Any) -> Any:
    """Return a cell as its JSON value, with the type of the JSON field."""
    if text == "":
        return None
    if isinstance(like, int | float):
        assert re.fullmatch(r"-?\d+(\.\d+)?", text), "a number is written without an exponent"
        return type(like)(text)
    if isinstance(like, str) and "T" in like and like.endswith("Z"):
        return datetime.fromisoformat(text).strftime("%Y-%m-%dT%H:%M:%SZ")
    return text


async def rows_as_json(client: httpx.AsyncClient, url: str, query: dict[str, str]) -> list[dict[str, Any]]:
    """Return the rows of an export from its JSON response."""
    answer = (await client.get(url.removesuffix("/steps"), params=query)).json()
    if url.endswith("/steps"):
        return list(answer["steps"])
    if url.endswith("/campaigns"):
        return list(answer["items"])
    if url.endswith("/aggregate"):
        previous, change = answer.pop("previous"), answer.pop("change")
        assert (previous is None) is (change is None)
        return [answer] if previous is None else [answer, previous]
    return list(answer)


@pytest.mark.usefixtures("marts")
@pytest.mark.parametrize(("path", "query"), SLICES)
async def test_a_file_has_the_rows_of_json(
    app_client: httpx.AsyncClient, workspace: str, path: str, query: dict[str, str]
) -> None:
    """The same rows in the same order, the same names, and the same value in each cell; null is empty."""
    url = f"/api/metrics/{workspace}/{path}"
    expected = await rows_as_json(app_client, url, query)
    assert expected, "nothing would be compared"

    response = await app_client.get(f"{url}.csv", params=query)

    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    names, *lines = csv.reader(io.StringIO(response.content.decode("utf-8-sig"), newline=""))
    assert sorted(names) == sorted(expected[0])
    found = [dict(zip(names, line, strict=True)) for line in lines]
    assert [
        {name: as_json(cell, row[name]) for name, cell in cells.items()}
        for cells, row in zip(found, expected, strict=True)
    ] == expected


async def test_a_file_has_the_whole_list(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """A file has no pages: it has all rows for which JSON needs several requests."""
    for number in range(60):
        await add_campaign(owner, workspace, f"c{number:02}", name=f"Campaign {number:02}")
    response = await app_client.get(f"/api/metrics/{workspace}/campaigns.csv", params={"sort": "-name"})
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"), newline="")))
    assert [row["name"] for row in rows] == [f"Campaign {number:02}" for number in reversed(range(60))]


async def test_names_are_escaped(app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection) -> None:
    """Commas, quotes and line breaks of a name stay in its cell, a formula is escaped, and lines end as in RFC 4180."""
    names = {
        "a": 'Say "hello", Ann',
        "b": "two\nlines\r\nand more",
        "c": "Größe 𝄞",
        "d": "=HYPERLINK(1)",
        "e": "-1",
        "f": "'+1",
        "g": "",
    }
    for campaign_id, name in names.items():
        await add_campaign(owner, workspace, campaign_id, name=name)
    response = await app_client.get(f"/api/metrics/{workspace}/campaigns.csv")
    text = response.content.decode("utf-8-sig")
    rows = {row["campaignId"]: row["name"] for row in csv.DictReader(io.StringIO(text, newline=""))}
    guarded = {"d": "'=HYPERLINK(1)", "e": "'-1", "f": "''+1"}
    assert rows == {**names, **guarded}
    assert text.endswith("\r\n")
    assert text.replace(names["b"], "").count("\n") == text.replace(names["b"], "").count("\r\n") == len(names) + 1


@pytest.mark.usefixtures("marts")
@pytest.mark.parametrize(
    ("path", "query", "name"),
    [
        ("campaigns", {}, "outbound-campaigns.csv"),
        ("campaigns/4711/steps", {}, "outbound-steps-4711.csv"),
        ("timeseries", PERIOD, "outbound-timeseries-2026-03-01-2026-03-03.csv"),
        ("aggregate", {"start": "2026-03-02"}, "outbound-aggregate-2026-03-02.csv"),
    ],
)
async def test_file_names_describe_the_content(
    app_client: httpx.AsyncClient, workspace: str, path: str, query: dict[str, str], name: str
) -> None:
    """The file names of several downloads differ."""
    response = await app_client.get(f"/api/metrics/{workspace}/{path}.csv", params=query)
    assert response.headers["Content-Disposition"] == f'attachment; filename="{name}"'


async def test_an_invalid_request_is_a_problem_and_no_file(app_client: httpx.AsyncClient, workspace: str) -> None:
    """An unknown campaign, another tenant's workspace, an invalid range and a wrong filter are problems, as in JSON."""
    foreign = "00000000-0000-7000-8000-000000000001"
    backwards = {"start": "2026-03-02", "end": "2026-03-01"}
    requests: list[tuple[str, dict[str, str], int]] = [
        (f"{workspace}/campaigns/unknown/steps.csv", {}, 404),
        (f"{workspace}/timeseries.csv", backwards, 422),
        (f"{workspace}/aggregate.csv", backwards, 422),
        (f"{workspace}/campaigns.csv", {"sort": "openRate"}, 422),
        *((f"{foreign}/{path}.csv", {}, 404) for path in ("campaigns", "campaigns/c/steps", "timeseries", "aggregate")),
    ]
    for path, query, status in requests:
        response = await app_client.get(f"/api/metrics/{path}", params=query)
        assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json"), path


@pytest.mark.usefixtures("marts")
async def test_a_download_occupies_no_connection(served: str, api_key: str, workspace: str, services: Services) -> None:
    """The transaction ends before the first byte is sent, so a slow client keeps no transaction open."""
    headers = {"Authorization": f"Bearer {api_key}"}
    async with (
        httpx.AsyncClient(base_url=served, headers=headers) as client,
        client.stream("GET", f"/api/metrics/{workspace}/campaigns.csv") as response,
    ):
        assert response.status_code == 200
        assert services.pool.sync_engine.pool.checkedout() == 0  # type: ignore[attr-defined]
