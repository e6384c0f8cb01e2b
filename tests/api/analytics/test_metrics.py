import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg import sql

from api.accounts import service
from api.resources import Services
from database.roles import libpq_url, owner_url
from database.tenancy import Scope, transaction
from tests.postgres import create_database, drop_database

pytestmark = pytest.mark.anyio

AS_OF = datetime(2026, 3, 10, 6, tzinfo=UTC)
FIGURES: dict[str, Any] = {
    "sent": 100,
    "delivered": 80,
    "bounced": 20,
    "hard_bounced": 15,
    "soft_bounced": 5,
    "opened": 40,
    "human_opened": 30,
    "machine_opened": 15,
    "clicked": 10,
    "human_clicked": 8,
    "machine_clicked": 2,
    "replied": 4,
    "unsubscribed": 2,
    "complained": None,
    "delivery_rate": "0.8",
    "bounce_rate": "0.2",
    "open_rate": "0.5",
    "human_open_rate": "0.375",
    "click_rate": "0.125",
    "human_click_rate": "0.1",
    "click_to_open_rate": "0.25",
    "reply_rate": "0.05",
    "unsubscribe_rate": "0.025",
    "as_of": AS_OF,
}
DAILY = {
    name: FIGURES[name] for name in FIGURES if not name.endswith("_rate") and not name.startswith(("hard", "soft"))
}


@pytest.fixture
def database_url(postgres_url: str, marts_template: str) -> Iterator[str]:
    """A database in which the marts are built and empty."""
    name = f"test_{uuid.uuid4().hex}"
    yield create_database(postgres_url, name, template=marts_template)
    drop_database(postgres_url, name)


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """The role as which dbt writes."""
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url(database_url)), autocommit=True) as connection:
        yield connection


async def insert(owner: psycopg.AsyncConnection, mart: str, row: dict[str, Any]) -> None:
    """Put a row into a mart."""
    statement = sql.SQL("INSERT INTO analytics.{} ({}) VALUES ({})").format(
        sql.Identifier(mart),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    await owner.execute(statement, list(row.values()))


async def add_campaign(owner: psycopg.AsyncConnection, workspace: str, campaign_id: str, **more: Any) -> None:
    """Count a campaign."""
    row = {"workspace_id": workspace, "campaign_id": campaign_id, "kind": "sequence", "name": "Spring", **FIGURES}
    await insert(owner, "campaigns", {**row, **more})


async def test_a_campaign_has_the_figures_that_dbt_has_counted(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Counts and rates come as they stand in the mart, in camelCase, as dashboards expect, with how fresh they are."""
    sequence = UUID(int=7)
    await add_campaign(owner, workspace, str(sequence), sequence_id=sequence, status="Active")

    response = await app_client.get(f"/api/metrics/{workspace}/campaigns/{sequence}")

    assert response.status_code == 200
    campaign = response.json()
    expected = {
        "campaignId": str(sequence),
        "sent": 100,
        "delivered": 80,
        "opened": 40,
        "clicked": 10,
        "replied": 4,
        "bounced": 20,
        "openRate": 0.5,
        "clickRate": 0.125,
        "replyRate": 0.05,
        "bounceRate": 0.2,
        "humanOpenRate": 0.375,
        "complained": None,
        "asOf": "2026-03-10T06:00:00Z",
        "steps": [],
    }
    assert {name: campaign[name] for name in expected} == expected


async def test_a_campaign_is_told_step_by_step(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """The figures of each step come from the marts of that grain, in the order of the steps."""
    await add_campaign(owner, workspace, "c")
    wanted = {
        "delivery_stats": (
            "sent",
            "delivered",
            "bounced",
            "hard_bounced",
            "soft_bounced",
            "delivery_rate",
            "bounce_rate",
        ),
        "engagement_stats": (
            *("delivered", "opened", "human_opened", "machine_opened", "clicked", "human_clicked", "machine_clicked"),
            *("replied", "open_rate", "human_open_rate", "click_rate", "human_click_rate", "click_to_open_rate"),
            "reply_rate",
        ),
        "unsubscribe_stats": ("delivered", "unsubscribed", "complained", "unsubscribe_rate"),
    }
    required = {"engagement_stats": {"opens": 50}, "delivery_stats": {}, "unsubscribe_stats": {}}
    for step in (2, 1):
        for mart, names in wanted.items():
            key = {
                "workspace_id": workspace,
                "campaign_id": "c",
                "kind": "sequence",
                "step_order": step,
                "as_of": AS_OF,
            }
            await insert(owner, mart, {**key, **{name: FIGURES[name] for name in names}, **required[mart]})

    steps = (await app_client.get(f"/api/metrics/{workspace}/campaigns/c")).json()["steps"]

    assert [one["stepOrder"] for one in steps] == [1, 2]
    assert {name: steps[0][name] for name in ("sent", "bounceRate", "opened", "replyRate", "unsubscribeRate")} == {
        "sent": 100,
        "bounceRate": 0.2,
        "opened": 40,
        "replyRate": 0.05,
        "unsubscribeRate": 0.025,
    }


async def test_what_a_provider_does_not_say_is_null(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Unknown counts and rates without a denominator are null, never 0."""
    unknown = {name: None for name in FIGURES if name not in {"sent", "delivered", "as_of"}}
    await add_campaign(owner, workspace, "4711", kind="bulk", **{**unknown, "sent": 0, "delivered": 0})
    campaign = (await app_client.get(f"/api/metrics/{workspace}/campaigns/4711")).json()
    assert (campaign["kind"], campaign["sent"]) == ("bulk", 0)
    assert [campaign[name] for name in ("opened", "replied", "complained", "openRate", "bounceRate")] == [None] * 5


async def test_campaigns_come_page_by_page(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Following the cursor brings each campaign once, the newest sequence first."""
    ids = [str(UUID(int=number)) for number in range(1, 6)]
    for campaign_id in ids:
        await add_campaign(owner, workspace, campaign_id)
    url, seen, cursor = f"/api/metrics/{workspace}/campaigns", [], None
    for _ in range(3):
        page = (await app_client.get(url, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [one["campaignId"] for one in page["items"]]
        cursor = page["nextCursor"]
    assert seen == ids[::-1]
    assert cursor is None


async def test_an_unknown_campaign_is_not_found(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A campaign that nobody has counted answers 404, and what no id can hold 422."""
    url = f"/api/metrics/{workspace}/campaigns"
    for campaign_id in ("unknown", str(UUID(int=9)), "a%20b", "%F0%9F%99%82"):
        response = await app_client.get(f"{url}/{campaign_id}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), campaign_id
    assert (await app_client.get(f"{url}/a%00b")).status_code == 422


async def test_another_accounts_figures_do_not_exist(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection, services: Services
) -> None:
    """Another account's workspace answers 404 everywhere, and its campaign does so by way of one's own."""
    await add_campaign(owner, workspace, "c")
    async with transaction(services.pool, Scope()) as session:
        other = await service.create_account(session, name="Other", user_name="Bob", email="bob@other.example")
    theirs = {"Authorization": f"Bearer {other.api_key}"}
    body = {"name": "Theirs", "defaultFromName": "Bob", "defaultFromEmail": "bob@other.example"}
    own = (await app_client.post("/api/workspaces", json=body, headers=theirs)).json()["id"]
    for path in ("campaigns", "campaigns/c", "timeseries", "aggregate"):
        assert (await app_client.get(f"/api/metrics/{workspace}/{path}", headers=theirs)).status_code == 404
    assert (await app_client.get(f"/api/metrics/{own}/campaigns/c", headers=theirs)).status_code == 404
    assert (await app_client.get(f"/api/metrics/{own}/campaigns", headers=theirs)).json()["items"] == []
    assert (await app_client.get(f"/api/metrics/{own}/aggregate", headers=theirs)).json()["sent"] == 0


async def test_every_day_of_the_range_is_there(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Days on which nothing happened have zeros; the list is in order and holds both ends."""
    for day in (date(2026, 3, 2), date(2026, 3, 4), date(2026, 3, 9)):
        await insert(owner, "timeline_events", {"workspace_id": workspace, "day": day, **DAILY})
    url = f"/api/metrics/{workspace}/timeseries"

    days = (await app_client.get(url, params={"start": "2026-03-01", "end": "2026-03-05"})).json()

    assert [one["date"] for one in days] == [f"2026-03-0{number}" for number in range(1, 6)]
    assert [one["sent"] for one in days] == [0, 100, 0, 100, 0]
    assert (days[1]["opened"], days[1]["replied"], days[1]["complained"]) == (40, 4, None)
    assert {one["asOf"] for one in days} == {"2026-03-10T06:00:00Z"}


async def test_without_a_range_the_last_thirty_days_come(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A dashboard that asks for nothing special gets thirty days, today in the workspace's timezone the last."""
    days = (await app_client.get(f"/api/metrics/{workspace}/timeseries")).json()
    assert len(days) == 30
    assert abs((date.fromisoformat(days[-1]["date"]) - datetime.now(UTC).date()).days) <= 1
    assert days[0]["asOf"] is None


async def test_a_period_is_summed_by_dbts_own_function(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Counts of the period's send days are added, rates follow from the sums, and the period before stands beside."""
    for day, delivered in ((date(2026, 2, 27), 50), (date(2026, 3, 2), 80), (date(2026, 3, 3), 40)):
        row = {"workspace_id": workspace, "sent_on": day, **FIGURES, "delivered": delivered}
        await insert(owner, "workspace_aggregates", row)
    url = f"/api/metrics/{workspace}/aggregate"

    march = (await app_client.get(url, params={"start": "2026-03-01", "end": "2026-03-03"})).json()

    assert (march["sent"], march["delivered"], march["opened"], march["complained"]) == (200, 120, 80, None)
    assert march["openRate"] == pytest.approx(80 / 120, abs=1e-6)
    assert march["asOf"] == "2026-03-10T06:00:00Z"
    before = march["previous"]
    assert (before["start"], before["end"], before["sent"]) == ("2026-02-26", "2026-02-28", 100)
    everything = (await app_client.get(url)).json()
    assert (everything["sent"], everything["start"], everything["previous"]) == (300, None, None)
    since = (await app_client.get(url, params={"start": "2026-03-03"})).json()
    assert since["sent"] == 100


async def test_nothing_sent_is_zero_and_no_rate(app_client: httpx.AsyncClient, workspace: str) -> None:
    """An empty workspace has zeros, null rates and no freshness."""
    totals = (await app_client.get(f"/api/metrics/{workspace}/aggregate")).json()
    assert (totals["sent"], totals["openRate"], totals["asOf"]) == (0, None, None)


async def test_a_range_that_makes_no_sense_is_malformed(app_client: httpx.AsyncClient, workspace: str) -> None:
    """Backwards, longer than a year, not a day, or out of any calendar: 422 that names the field."""
    ranges = [
        ("2026-03-02", "2026-03-01"),
        ("2025-01-01", "2026-01-02"),
        ("yesterday", "2026-01-02"),
        ("2026-02-30", "2026-03-01"),
        ("0001-01-01", "0001-01-02"),
        ("9999-12-30", "9999-12-31"),
    ]
    for path in ("timeseries", "aggregate"):
        for start, end in ranges:
            response = await app_client.get(f"/api/metrics/{workspace}/{path}", params={"start": start, "end": end})
            assert (response.status_code, response.json()["code"]) == (422, "malformed"), (path, start, end)
            assert response.json()["errors"]


async def test_a_leap_year_is_not_too_long(app_client: httpx.AsyncClient, workspace: str) -> None:
    """366 days are the most that is answered."""
    query = {"start": "2024-01-01", "end": "2024-12-31"}
    assert len((await app_client.get(f"/api/metrics/{workspace}/timeseries", params=query)).json()) == 366


async def test_a_forged_cursor_is_malformed(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A cursor that is not ours answers 422."""
    for cursor in ("!", "AA", "w", "=="):
        response = await app_client.get(f"/api/metrics/{workspace}/campaigns", params={"cursor": cursor})
        assert response.status_code == 422, cursor


async def test_figures_carry_a_tag(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A dashboard that polls gets 304 until dbt has run again."""
    first = await app_client.get(f"/api/metrics/{workspace}/aggregate")
    again = await app_client.get(
        f"/api/metrics/{workspace}/aggregate", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert again.status_code == 304
