"""The JSON responses of analytics, from marts with rows of the tests."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from api.accounts import service
from api.http.resources import Services
from database.tenancy import Scope, transaction
from tests.api.analytics.marts import DAILY, FIGURES, add_campaign, add_step, database_url, insert, owner
from tests.api.running import stop_clock

__all__ = ["database_url", "owner"]

pytestmark = pytest.mark.anyio


async def test_a_campaign_has_the_figures_of_its_mart(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Counts and rates are those of the mart, in camelCase, with the time up to which they are complete."""
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


async def test_a_campaign_has_figures_of_each_step(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Each step has the figures of the three marts of steps, in the order of the steps, and no other's."""
    await add_campaign(owner, workspace, "c")
    await add_step(owner, workspace, "c", 2, sent=7, opened=8, unsubscribed=9)
    await add_step(owner, workspace, "c", 1)
    await add_step(owner, workspace, "other", 1)

    first, second = (await app_client.get(f"/api/metrics/{workspace}/campaigns/c")).json()["steps"]

    assert (first["stepOrder"], second["stepOrder"]) == (1, 2)
    assert UUID(first["stepId"]) != UUID(second["stepId"])
    expected = {"sent": 100, "bounceRate": 0.2, "opened": 40, "replyRate": 0.05, "unsubscribeRate": 0.025}
    assert {name: first[name] for name in expected} == expected
    assert (second["sent"], second["opened"], second["unsubscribed"]) == (7, 8, 9)


async def test_raw_human_and_machine_counts_are_separate(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Every response has opens and clicks in three counts, with repeats too, except per day."""
    await add_campaign(owner, workspace, "c")
    await add_step(owner, workspace, "c", 1)
    await insert(owner, "timeline_events", {"workspace_id": workspace, "day": date(2026, 3, 2), **DAILY})
    await insert(owner, "workspace_aggregates", {"workspace_id": workspace, "sent_on": date(2026, 3, 2), **FIGURES})
    url = f"/api/metrics/{workspace}"
    query = {"start": "2026-03-02", "end": "2026-03-02"}

    campaign = (await app_client.get(f"{url}/campaigns/c")).json()
    listed = (await app_client.get(f"{url}/campaigns")).json()["items"][0]
    (day,) = (await app_client.get(f"{url}/timeseries", params=query)).json()
    totals = (await app_client.get(f"{url}/aggregate", params=query)).json()

    once = {"opened": 40, "humanOpened": 30, "machineOpened": 15, "clicked": 10, "humanClicked": 8, "machineClicked": 2}
    often = {"opens": 60, "humanOpens": 44, "machineOpens": 16, "clicks": 12, "humanClicks": 9, "machineClicks": 3}
    for answer in (campaign, listed, campaign["steps"][0], totals):
        assert {name: answer[name] for name in once | often} == once | often
    assert {name: day[name] for name in once} == once


async def test_a_bulk_email_is_one_step_without_an_id(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """The three marts of steps are joined also without a step id."""
    await add_campaign(owner, workspace, "4711", kind="bulk")
    await add_step(owner, workspace, "4711", 1, kind="bulk", step_id=None, replied=None)

    (step,) = (await app_client.get(f"/api/metrics/{workspace}/campaigns/4711")).json()["steps"]

    assert (step["stepId"], step["stepOrder"], step["sent"], step["opened"]) == (None, 1, 100, 40)
    assert step["replied"] is None


async def test_figures_without_a_report_are_null(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Unknown counts and rates without a denominator are null, never 0."""
    unknown = {name: None for name in FIGURES if name not in {"sent", "delivered", "as_of"}}
    await add_campaign(owner, workspace, "4711", kind="bulk", **{**unknown, "sent": 0, "delivered": 0})
    campaign = (await app_client.get(f"/api/metrics/{workspace}/campaigns/4711")).json()
    assert (campaign["kind"], campaign["sent"]) == ("bulk", 0)
    assert [campaign[name] for name in ("opened", "replied", "complained", "openRate", "bounceRate")] == [None] * 5


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("-createdAt", ["c", "b", "a", "e", "d"]),
        ("createdAt", ["d", "e", "a", "b", "c"]),
        ("-lastSentAt", ["a", "e", "d", "c", "b"]),
        ("lastSentAt", ["b", "c", "d", "e", "a"]),
        ("name", ["e", "b", "d", "a", "c"]),
        ("-name", ["c", "a", "d", "b", "e"]),
    ],
)
async def test_campaigns_have_pages(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection, sort: str, expected: list[str]
) -> None:
    """Following the cursor returns each campaign once, in every order, also with equal or missing sort values."""
    day = datetime(2026, 3, 1, tzinfo=UTC)
    rows: dict[str, dict[str, Any]] = {
        "a": {"name": "Spring", "created_at": day, "last_sent_at": day + timedelta(days=9)},
        "b": {"name": "Autumn", "created_at": day + timedelta(microseconds=1)},
        "c": {"name": "Winter", "created_at": day + timedelta(days=1), "last_sent_at": None},
        "d": {"name": "Autumn", "created_at": None, "last_sent_at": day},
        "e": {"name": "'' OR 1=1", "created_at": None, "last_sent_at": day},
    }
    for campaign_id, row in rows.items():
        await add_campaign(owner, workspace, campaign_id, **row)
    url, seen, cursor = f"/api/metrics/{workspace}/campaigns", [], None
    for _ in range(3):
        query = {"limit": "2", "sort": sort} | ({"cursor": cursor} if cursor else {})
        page = (await app_client.get(url, params=query)).json()
        seen += [one["campaignId"] for one in page["items"]]
        cursor = page["nextCursor"]
    assert seen == expected
    assert cursor is None


async def test_campaigns_can_be_filtered(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """By kind, by status and by a part of the name, each and together; pattern characters are literal."""
    await add_campaign(owner, workspace, "a", name="Spring 100%", status="Active")
    await add_campaign(owner, workspace, "b", name="Autumn_Spring", status="Paused")
    await add_campaign(owner, workspace, "4711", name="Newsletter", kind="bulk", status="sent")

    async def chosen(**query: str) -> set[str]:
        response = await app_client.get(f"/api/metrics/{workspace}/campaigns", params=query)
        assert response.status_code == 200, response.text
        return {one["campaignId"] for one in response.json()["items"]}

    assert await chosen(kind="bulk") == {"4711"}
    assert await chosen(kind="sequence", status="Active") == {"a"}
    assert await chosen(q="SPRING") == {"a", "b"}
    assert await chosen(q="%") == {"a"}
    assert await chosen(q="_") == {"b"}
    assert await chosen(q="spring", status="sent") == set()
    assert await chosen(q="", status="") == {"a", "b", "4711"}
    for query in ({"kind": "letters"}, {"sort": "openRate"}, {"limit": "0"}):
        response = await app_client.get(f"/api/metrics/{workspace}/campaigns", params=query)
        assert response.json()["errors"][0]["location"] == ["query", *query]


async def test_an_unknown_campaign_is_not_found(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A campaign without figures returns 404, and an id with invalid characters 422."""
    url = f"/api/metrics/{workspace}/campaigns"
    for campaign_id in ("unknown", str(UUID(int=9)), "a%20b", "%F0%9F%99%82"):
        response = await app_client.get(f"{url}/{campaign_id}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), campaign_id
    assert (await app_client.get(f"{url}/a%00b")).status_code == 422


async def test_another_accounts_figures_do_not_exist(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection, services: Services
) -> None:
    """Another account's workspace returns 404 everywhere, and so does its campaign with one's own workspace."""
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


async def test_every_day_of_the_range_is_included(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Days without events have zeros; the list is in order and includes both ends."""
    for day in (date(2026, 3, 2), date(2026, 3, 4), date(2026, 3, 9)):
        await insert(owner, "timeline_events", {"workspace_id": workspace, "day": day, **DAILY})
    url = f"/api/metrics/{workspace}/timeseries"

    days = (await app_client.get(url, params={"start": "2026-03-01", "end": "2026-03-05"})).json()

    assert [one["date"] for one in days] == [f"2026-03-0{number}" for number in range(1, 6)]
    assert [one["sent"] for one in days] == [0, 100, 0, 100, 0]
    assert (days[1]["opened"], days[1]["replied"], days[1]["complained"]) == (40, 4, None)
    assert {one["asOf"] for one in days} == {"2026-03-10T06:00:00Z"}


async def test_the_days_of_one_campaign(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """A sequence has its own timeseries; an unknown one, and a bulk email, which has no days, return 404."""
    await add_campaign(owner, workspace, "c")
    await add_campaign(owner, workspace, "4711", kind="bulk")
    for campaign_id, sent in (("c", 3), ("other", 4)):
        row = {"workspace_id": workspace, "campaign_id": campaign_id, "day": date(2026, 3, 2), **DAILY, "sent": sent}
        await insert(owner, "campaign_days", row)
    url, query = f"/api/metrics/{workspace}/timeseries", {"start": "2026-03-01", "end": "2026-03-02"}

    days = (await app_client.get(url, params={**query, "campaignId": "c"})).json()

    assert [(one["date"], one["sent"]) for one in days] == [("2026-03-01", 0), ("2026-03-02", 3)]
    assert {one["asOf"] for one in days} == {"2026-03-10T06:00:00Z"}
    for campaign_id, said in (("unknown", "no such campaign"), ("4711", "does not report the days")):
        for path in (url, f"{url}.csv"):
            response = await app_client.get(path, params={**query, "campaignId": campaign_id})
            assert (response.status_code, response.json()["code"]) == (404, "not_found")
            assert said in response.json()["detail"]


async def test_the_default_range_is_thirty_days(
    app_client: httpx.AsyncClient, workspace: str, services: Services
) -> None:
    """Without parameters there are thirty days, up to today in the workspace's timezone."""
    # In Johannesburg it is the 23rd already.
    stop_clock(services.clock, datetime(2026, 11, 22, 22, tzinfo=UTC))
    days = (await app_client.get(f"/api/metrics/{workspace}/timeseries")).json()
    assert [day["date"] for day in days] == [
        (date(2026, 11, 23) - timedelta(days=ago)).isoformat() for ago in range(29, -1, -1)
    ]
    assert {day["asOf"] for day in days} == {None}


async def test_a_period_uses_dbts_function(
    app_client: httpx.AsyncClient, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """Counts of the period's send days are added, rates follow from the sums, and the previous period is included."""
    for day, delivered in ((date(2026, 2, 27), 50), (date(2026, 3, 2), 80), (date(2026, 3, 3), 40)):
        row = {"workspace_id": workspace, "sent_on": day, **FIGURES, "delivered": delivered}
        await insert(owner, "workspace_aggregates", row | {"opens_measured": delivered})
    url = f"/api/metrics/{workspace}/aggregate"

    march = (await app_client.get(url, params={"start": "2026-03-01", "end": "2026-03-03"})).json()

    assert (march["sent"], march["delivered"], march["opened"], march["complained"]) == (200, 120, 80, None)
    assert march["openRate"] == pytest.approx(80 / 120, abs=1e-6)
    assert march["asOf"] == "2026-03-10T06:00:00Z"
    before = march["previous"]
    assert (before["start"], before["end"], before["sent"]) == ("2026-02-26", "2026-02-28", 100)
    change = march["change"]
    assert (change["sent"], change["delivered"], change["complained"]) == (100, 70, None)
    assert change["openRate"] == pytest.approx(80 / 120 - 40 / 50, abs=1e-12)
    assert (change["deliveryRate"], change["bounceRate"]) == (0.1, 0)
    everything = (await app_client.get(url)).json()
    assert (everything["sent"], everything["start"], everything["previous"]) == (300, None, None)
    assert everything["change"] is None
    since = (await app_client.get(url, params={"start": "2026-03-03"})).json()
    assert since["sent"] == 100


async def test_nothing_sent_is_zero_and_no_rate(app_client: httpx.AsyncClient, workspace: str) -> None:
    """An empty workspace has zeros, null rates and a null `asOf`."""
    totals = (await app_client.get(f"/api/metrics/{workspace}/aggregate")).json()
    assert (totals["sent"], totals["openRate"], totals["asOf"]) == (0, None, None)


async def test_an_invalid_range_is_malformed(app_client: httpx.AsyncClient, workspace: str) -> None:
    """Reversed, longer than a year, not a day, or outside of the calendar: 422 that names the field."""
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
    """A range may have up to 366 days."""
    query = {"start": "2024-01-01", "end": "2024-12-31"}
    assert len((await app_client.get(f"/api/metrics/{workspace}/timeseries", params=query)).json()) == 366


async def test_a_forged_cursor_is_malformed(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A cursor that is not ours returns 422."""
    for cursor in ("!", "AA", "w", "=="):
        response = await app_client.get(f"/api/metrics/{workspace}/campaigns", params={"cursor": cursor})
        assert response.status_code == 422, cursor


async def test_figures_have_an_etag(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A dashboard that polls gets 304 until dbt has run again."""
    first = await app_client.get(f"/api/metrics/{workspace}/aggregate")
    again = await app_client.get(
        f"/api/metrics/{workspace}/aggregate", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert again.status_code == 304
