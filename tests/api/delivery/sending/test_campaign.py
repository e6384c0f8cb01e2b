"""A campaign simulated by the rules alone leaves as the engine sends it, its clock standing still between moments."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from api.accounts.workspaces.service import find_workspace
from api.http.resources import Services
from benchmarks.campaign import Recipient, simulate
from database.tenancy import Scope, transaction
from domain.schedule import StepDelay
from tests.api.running import stop_clock
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

START = datetime(2026, 3, 26, 9, tzinfo=UTC)
"""The Thursday before the clocks of Berlin go forward; Good Friday and Easter Monday follow."""
DELAYS = [StepDelay(), StepDelay(days=2, hours=3), StepDelay(days=4)]
ALIKE = [Recipient("a.example", None)] * 8
DIFFERENT = [
    Recipient(domain, zone)
    for domain in ("a.example", "b.example")
    for zone in (None, "Europe/Berlin", "America/New_York", "Pacific/Auckland")
]
OFFICE_HOURS = {
    "timezone": "Africa/Johannesburg",
    "windowStart": "08:00:00",
    "windowEnd": "17:00:00",
    "sendingWeekdays": [0, 1, 2, 3, 4],
    "holidaysCountry": "ZA",
}
NEXT_DUE = text(
    "SELECT min(run_at) FROM app.scheduled_jobs WHERE status = 'pending'"
    " AND job_type IN ('send_email', 'generate_draft')"
)
LEFT = text(
    "SELECT attempt.claimed_at, draft.step_order, split_part(lead.email, '@', 1) AS number"
    " FROM app.send_attempts AS attempt"
    " JOIN app.email_drafts AS draft ON draft.id = attempt.draft_id JOIN app.leads AS lead ON lead.id = draft.lead_id"
)


async def run_campaign(
    outreach: Outreach, services: Services, recipients: list[Recipient]
) -> list[tuple[datetime, int, int]]:
    """Send the campaign through the engine, from moment to moment; returns (when, step, recipient) of all mails."""
    stop_clock(services.clock, START)
    sequence = (await outreach.post("/sequences", {"name": "Spring", "autoApprove": True})).json()["id"]
    for delay in DELAYS:
        step = {"subject": "One", "bodyTemplate": "Hello", "delayDays": delay.days, "delayHours": delay.hours}
        await outreach.post(f"/sequences/{sequence}/steps", step)
    await outreach.post(f"/sequences/{sequence}/activate")
    leads = []
    for number, one in enumerate(recipients):
        lead = {"email": f"{number}@{one.domain}", "timezone": one.zone}
        leads.append((await outreach.post("/leads", lead)).json()["id"])
    await outreach.post("/enrollments", {"sequenceId": sequence, "leadIds": leads})
    scope = Scope(workspace_id=outreach.workspace_id)
    while True:
        async with transaction(services.pool, scope) as session:
            due = await session.scalar(NEXT_DUE)
            left = (await session.execute(LEFT)).all()
        if due is None:
            return sorted((row.claimed_at, row.step_order - 1, int(row.number)) for row in left)
        stop_clock(services.clock, max(due, services.clock.now()))
        await outreach.run_jobs()


@pytest.mark.parametrize(
    ("limits", "recipients"),
    [
        ({}, DIFFERENT),
        ({"dailyCap": 5, "rampStart": "2026-03-26", "rampFrom": 2, "rampStep": 1}, ALIKE),
        ({"sendsPerMinute": 1, "domainGapSeconds": 300}, ALIKE),
    ],
)
async def test_the_engine_sends_what_was_simulated(
    outreach: Outreach, services: Services, limits: dict[str, Any], recipients: list[Recipient]
) -> None:
    """Three steps over Easter and a change of clocks, four zones or every limit: the same mails at the same times.

    Who of several that wait for the same slot gets it is chance: they are written at the same time. So those who wait
    for each other are alike; those who do not are each followed.
    """
    response = await outreach.client.patch(outreach.path, json={**OFFICE_HOURS, **limits})
    assert response.status_code == 200, response.text
    async with transaction(services.pool, Scope(workspace_id=UUID(outreach.path.rpartition("/")[2]))) as session:
        workspace = await find_workspace(session, outreach.workspace_id)

    expected = sorted((one.at, one.step, one.recipient) for one in simulate(workspace, DELAYS, recipients, START))
    sent = await run_campaign(outreach, services, recipients)

    assert len(sent) == len(recipients) * len(DELAYS)
    assert sent[-1][0] - START > timedelta(days=7)
    assert Counter((at, step) for at, step, _ in sent) == Counter((at, step) for at, step, _ in expected)
    assert limits or sent == expected
