"""Sixty days of emails through the whole product, with the figures from raw rows, marts and the API compared."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import anyio.to_thread
import httpx
import psycopg
import pytest
from psycopg.rows import dict_row
from pydantic.alias_generators import to_camel

from api.http.resources import Services
from database.roles import connect, owner_url
from orchestration.run import sync_and_build
from tests.api.analytics.recount import CONSENT_ENDING, NAMES, Figures, recount
from tests.api.running import stop_clock
from tests.api.sending_workspace import Outreach
from tests.business_clock import business_now
from tests.sandbox import Sandbox, running_sandbox

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("default"),  # dbt's and Dagster's own deprecations are not ours to fail on
]

ZONE = ZoneInfo("America/New_York")
START = datetime(2025, 3, 3, 6, tzinfo=UTC)
"""Six days before New York's clocks change."""
DAYS, WAVES, WAVE_DAYS, LEADS = 60, 5, 11, 12
FIRST, LAST = date(2025, 3, 3), date(2025, 5, 1)
"""Of the sixty days, in New York."""
ENDINGS = (".example", ".example", CONSENT_ENDING)
STEPS = ((0, 0), (4, 7), (9, 13))
"""Days and hours between the emails of a sequence: some leave in another day of New York than of UTC."""
DAILY = [
    name
    for name in NAMES
    if name not in {f"{who}{many}" for who in ("", "human_", "machine_") for many in ("opens", "clicks")}
    and name != "clicked_with_opens_measured"
]
RATES = {
    "deliveryRate": ("delivered", "sent"),
    "bounceRate": ("bounced", "sent"),
    "openRate": ("opened", "opensMeasured"),
    "humanOpenRate": ("humanOpened", "opensMeasured"),
    "clickRate": ("clicked", "clicksMeasured"),
    "humanClickRate": ("humanClicked", "clicksMeasured"),
    "clickToOpenRate": ("clickedWithOpensMeasured", "opened"),
    "replyRate": ("replied", "delivered"),
    "unsubscribeRate": ("unsubscribed", "delivered"),
}
FAULTS = ("lost_webhooks", "duplicate_webhooks", "out_of_order_webhooks", "unknown_event_type")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A separate provider whose clock starts in March 2025 and is moved forward."""
    with running_sandbox("--seed", "29", "--start", START.isoformat()) as started:
        yield started


@pytest.fixture
async def lived(outreach: Outreach, services: Services, app_client: httpx.AsyncClient, database_url: str) -> Outreach:
    """Sixty days: leads enrolled in waves, emails sent by the engine, reactions, faulty webhooks, and one poll."""
    tag = (await app_client.get(outreach.path)).headers["ETag"]
    changed = await app_client.patch(outreach.path, json={"timezone": ZONE.key}, headers={"If-Match": tag})
    assert changed.status_code == 200, changed.text
    outreach.sandbox.tell(
        "scenarios",
        username=outreach.username,
        scenarios=[{"name": name, "probability": 0.15} for name in FAULTS],
        switches={"standard_user_agent": True, "standard_link_url": True, "records_per_delivery": 3},
    )
    stop_clock(services.clock, START)
    sequences = [await write_sequence(outreach, f"Sequence {number}") for number in range(2)]
    for day in range(DAYS):
        if day % WAVE_DAYS == 0 and day // WAVE_DAYS < WAVES:
            for number, sequence in enumerate(sequences):
                leads = [f"lead{n}@d{day}x{n % 5}s{number}{ENDINGS[n % 3]}" for n in range(LEADS)]
                ids = [await outreach.add_lead(email) for email in leads]
                await outreach.post("/enrollments", {"sequenceId": sequence, "leadIds": ids})
        for _ in range(2):
            await pass_time(outreach, services, timedelta(hours=12))
    await anyio.to_thread.run_sync(partial(sync, database_url, services))
    # The pipeline asks for its jobs by the real clock.
    stop_clock(services.clock, business_now())
    await outreach.run_jobs()
    await anyio.to_thread.run_sync(partial(sync, database_url, services, poll=False))
    return outreach


async def write_sequence(outreach: Outreach, name: str) -> str:
    """Create an active sequence of three emails with a link each, and return its id."""
    body = {"name": name, "autoApprove": True}
    sequence: str = (await outreach.post("/sequences", body)).json()["id"]
    for days, hours in STEPS:
        template = "Hello {{ first_name }}, see https://offer.example/a and https://offer.example/b."
        step = {"subject": name, "bodyTemplate": template, "delayDays": days, "delayHours": hours}
        await outreach.post(f"/sequences/{sequence}/steps", step)
    await outreach.post(f"/sequences/{sequence}/activate")
    return sequence


async def pass_time(outreach: Outreach, services: Services, span: timedelta) -> None:
    """Move time forward at the provider and here: due emails are sent, and events happen, arrive and are applied."""
    # An event that is later than its arrival would be dated back to the arrival.
    stop_clock(services.clock, services.clock.now() + span + timedelta(minutes=2))
    await anyio.to_thread.run_sync(outreach.sandbox.advance, span.total_seconds())
    await anyio.to_thread.run_sync(outreach.sandbox.settle, 60.0)
    now = outreach.sandbox.ask("state")["now_epoch"]
    stop_clock(services.clock, datetime.fromtimestamp(now, UTC))
    await outreach.run_jobs()


def sync(database_url: str, services: Services, *, poll: bool = True) -> None:
    """Poll all days and build the marts, like Dagster's run."""
    report = sync_and_build(
        database_url=database_url,
        secret_key=services.settings.secret_key.get_secret_value(),
        since=START.date(),
        until=(START + timedelta(days=DAYS)).date(),
        poll=poll,
    )
    assert (report.success, report.errors, report.failed_tenants) == (True, [], {})


async def test_raw_rows_marts_and_api_have_equal_figures(lived: Outreach, database_url: str) -> None:
    """Counted by Polars, read from the marts and from the API: equal for each campaign, step, day and period."""
    with connect(owner_url(database_url)) as connection:
        raw = recount(connection, lived.workspace_id, ZONE.key)
        assert [name for name in NAMES if not raw.total[name]] == [], "nothing of a kind happened: nothing is proved"
        assert raw.total["opens_measured"] < raw.total["delivered"] == raw.total["clicks_measured"]
        assert raw.campaigns == mart(connection, "campaigns", "campaign_id", NAMES)
        assert raw.sent_days == mart(connection, "workspace_aggregates", "sent_on", NAMES)
        assert every_day(raw.days) == mart(connection, "timeline_events", "day", DAILY)

    campaigns = (await lived.client.get(f"{metrics(lived)}/campaigns")).json()["items"]
    assert {one["campaignId"]: figures(one, NAMES) for one in campaigns} == raw.campaigns
    for one in campaigns:
        assert_rates(one)
        campaign = one["campaignId"]
        steps = (await lived.client.get(f"{metrics(lived)}/campaigns/{campaign}")).json()["steps"]
        assert {step["stepId"]: figures(step, NAMES) for step in steps} == raw.steps[campaign]
        assert await days(lived, campaignId=campaign) == every_day(raw.campaign_days[campaign])
    assert await days(lived) == every_day(raw.days)
    for day, expected in raw.sent_days.items():
        period = await lived.client.get(f"{metrics(lived)}/aggregate", params={"start": str(day), "end": str(day)})
        assert figures(period.json(), NAMES) == expected
        assert_rates(period.json())
    whole = (await lived.client.get(f"{metrics(lived)}/aggregate")).json()
    assert figures(whole, NAMES) == raw.total


def metrics(lived: Outreach) -> str:
    """Return the path of the workspace's figures."""
    return f"/api/metrics/{lived.workspace_id}"


async def days(lived: Outreach, **query: str) -> dict[date, Figures]:
    """Return the timeline from the first day to the last."""
    period = {"start": str(FIRST), "end": str(LAST)}
    rows = (await lived.client.get(f"{metrics(lived)}/timeseries", params=period | query)).json()
    return {date.fromisoformat(row["date"]): figures(row, DAILY) for row in rows}


def every_day(counted: dict[date, Figures]) -> dict[date, Figures]:
    """Return the daily figures of each day from the first to the last, zeros where nothing happened."""
    dates = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
    return {day: {name: counted.get(day, {}).get(name, 0) for name in DAILY} for day in dates}


def figures(row: dict[str, Any], names: Sequence[str]) -> Figures:
    """Return some figures of a response of the API, by their names in the marts."""
    return {name: row[to_camel(name)] for name in names}


def mart(connection: psycopg.Connection, name: str, key: str, names: Sequence[str]) -> dict[Any, Figures]:
    """Return some figures of a mart by its key."""
    rows = connection.cursor(row_factory=dict_row).execute(f"SELECT * FROM analytics.{name}".encode()).fetchall()
    return {row[key]: {one: row[one] for one in names} for row in rows}


def assert_rates(row: dict[str, Any]) -> None:
    """Check that each rate is its numerator divided by its denominator."""
    for rate, (part, whole) in RATES.items():
        assert row[rate] == (pytest.approx(row[part] / row[whole]) if row[whole] else None)
