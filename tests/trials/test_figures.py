"""The figures of mails that end twice, as the API and the marts show them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import anyio.to_thread
import pytest

from orchestration.run import sync_and_build
from tests.api.running import stop_clock
from tests.business_clock import business_now
from tests.sandbox import Sandbox, running_sandbox
from tests.trials.trial import Mailed, Trial, read_input, read_lines

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("default"),  # dbt's and Dagster's own deprecations are not ours to fail on
]

SENT = datetime(2026, 10, 26, 7, 30, tzinfo=UTC)
REPLY = "60-bounce-after-delivery-and-reply-after-bounce/reply.eml"
HISTORIES = [
    [("delivered", 30), ("bounce", 50)],
    [("bounce", 30), ("delivered", 50)],
    [("soft", 30), ("delivered", 90)],
    [("bounce", 30), ("reply", 150)],
    [("reply", 150)],
    [("complaint", 90)],
]
"""What happens to each of six mails, and how many minutes after it was sent."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A provider whose clock starts when the mails are sent."""
    with running_sandbox("--seed", "3", "--start", SENT.isoformat()) as started:
        yield started


async def tell(trial: Trial, mailed: Mailed, kind: str, minutes: int) -> None:
    """Let something happen to a mail."""
    at = SENT + timedelta(minutes=minutes)
    trial.set_time(max(at, trial.services.clock.now()))
    if kind == "reply":
        await trial.receive(REPLY, mailed, message_id=f"<{mailed.draft_id}@heimat.example>".encode())
        return
    fields = {"bounce_type": "soft" if kind == "soft" else "hard"} if kind in {"soft", "bounce"} else {}
    event = {
        "event_id": f"{mailed.draft_id}-{kind}",
        "event_type": "bounce" if kind == "soft" else kind,
        "event_date": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "email_to": mailed.address,
        "message_id": mailed.draft_id,
    }
    await trial.push({**event, **fields})


@pytest.mark.parametrize("histories", [HISTORIES], ids=["60-ends"])
async def test_mails_that_end_twice(trial: Trial, database_url: str, histories: list[list[tuple[str, int]]]) -> None:
    """Inbox and marts count the same replies; a bounce outweighs a delivery in any order; no rate is above one.

    A mail that a person answered was delivered, by a forward if its address bounced, so it is no hard bounce.
    """
    trial.set_time(SENT)
    mails = [await trial.send_mail(f"lead{number}@ends{number}.example") for number in range(len(histories))]
    for mailed, history in zip(mails, histories, strict=True):
        for kind, minutes in history:
            await tell(trial, mailed, kind, minutes)

    await anyio.to_thread.run_sync(partial(build, database_url, trial))

    figures: dict[str, Any] = (
        await trial.outreach.client.get(f"/api/metrics/{trial.outreach.workspace_id}/aggregate")
    ).json()
    replies = (await trial.outreach.get("/replies"))["items"]
    counted = {name: figures[name] for name in ("sent", "hardBounced", "softBounced", "replied", "complained")}
    assert len(replies) == 2
    assert counted == {
        "sent": 6,
        "hardBounced": 2,
        "softBounced": 0,
        "replied": len(replies),
        "complained": 1,
    }, figures
    assert all(value is None or value <= 1 for name, value in figures.items() if name.endswith("Rate")), figures
    suppressed = [await trial.suppression(mailed.address) for mailed in mails]
    assert suppressed == ["hard_bounce", "hard_bounce", None, "hard_bounce", None, "complaint"]


TIMES = [row["push"] for row in read_lines("52-event-times-of-all-kinds/times.jsonl")]
LATE = json.loads(read_input("58-rows-that-commit-late/events.json"))["event"]
COUNTED = ("sent", "delivered", "opened", "clicked", "bounced", "replied", "unsubscribed")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (TIMES, {"sent": 1, "delivered": 1, "opened": 1}),
        (LATE, {"sent": 1, "delivered": 1, "opened": 1, "clicked": 1}),
    ],
    ids=["52-series", "58-series"],
)
async def test_series_of_times_of_all_kinds(
    trial: Trial, database_url: str, events: list[dict[str, Any]], expected: dict[str, int]
) -> None:
    """Whatever times the provider claims, the days add up to the campaign, and no other day than the mail's has any."""
    sent, now = datetime(2026, 10, 26, 8, tzinfo=UTC), datetime(2026, 10, 26, 12, tzinfo=UTC)
    trial.set_time(sent)
    mailed = await trial.send_mail("mia@lager.example")
    trial.set_time(now)
    for event in events:
        await trial.push(json.loads(json.dumps(event).replace("@@DRAFT@@", mailed.draft_id)))

    await anyio.to_thread.run_sync(partial(build, database_url, trial))

    path = f"/api/metrics/{trial.outreach.workspace_id}"
    period = {"start": "2026-10-01", "end": "2027-03-31"}
    series = (await trial.outreach.client.get(f"{path}/timeseries", params=period)).json()
    campaigns = (await trial.outreach.client.get(f"{path}/campaigns")).json()["items"]
    totals = (await trial.outreach.client.get(f"{path}/aggregate")).json()
    days = {day["date"]: {name: day[name] for name in COUNTED if day[name]} for day in series}
    figures = [{name: row[name] for name in COUNTED if row[name]} for row in (*campaigns, totals)]
    assert {day: counts for day, counts in days.items() if counts} == {"2026-10-26": expected}
    assert figures == [expected, expected]


def build(database_url: str, trial: Trial) -> None:
    """Build the marts, like Dagster's run."""
    stop_clock(trial.services.clock, business_now())
    report = sync_and_build(
        database_url=database_url,
        secret_key=trial.services.settings.secret_key.get_secret_value(),
        since=SENT.date(),
        until=(SENT + timedelta(days=1)).date(),
        poll=False,
    )
    assert (report.success, report.errors, report.failed_tenants) == (True, [], {})
