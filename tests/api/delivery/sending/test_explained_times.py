"""What is said of a mail's time is when the engine then sends it: any zone, any settings, any year of ten."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from api.http.resources import Services
from database.tenancy import Scope, transaction
from domain.timezones import list_timezones
from tests.api.running import RunJobs, stop_clock
from tests.sandbox import Sandbox

pytestmark = pytest.mark.anyio

ZONES = sorted(list_timezones())
zones = st.sampled_from(ZONES)
NEXT_DUE = text(
    "SELECT min(run_at) FROM app.scheduled_jobs WHERE workspace_id = :id AND job_type = 'send_email'"
    " AND status = 'pending'"
)
CLAIMED = text(
    "SELECT draft.enrollment_id, attempt.claimed_at FROM app.send_attempts AS attempt"
    " JOIN app.email_drafts AS draft ON draft.id = attempt.draft_id WHERE attempt.workspace_id = :id"
)


@dataclass(frozen=True, slots=True)
class Case:
    """A workspace's settings, the delay of its one step, its leads, and when all is approved."""

    workspace: dict[str, Any]
    delay: dict[str, int]
    leads: list[dict[str, Any]]
    now: datetime


@st.composite
def workspaces(draw: st.DrawFn) -> dict[str, Any]:
    """Invent sending settings; every limit is there or not."""
    opens = draw(st.integers(0, 20))
    found: dict[str, Any] = {
        "name": "Outbound",
        "defaultFromName": "Ann",
        "defaultFromEmail": "ann@acme.example",
        "timezone": draw(zones),
        "windowStart": f"{opens:02}:30:00",
        "windowEnd": f"{draw(st.integers(opens + 1, 23)):02}:45:00",
        "sendingWeekdays": draw(st.lists(st.integers(0, 6), min_size=1, unique=True)),
        "holidaysCountry": draw(st.sampled_from([None, "ZA", "DE", "US"])),
        "sendsPerMinute": draw(st.none() | st.sampled_from([1, 7, 100, 600])),
        "domainGapSeconds": draw(st.none() | st.integers(1, 7200)),
    }
    if draw(st.booleans()):
        found["dailyCap"] = draw(st.integers(1, 4))
        if draw(st.booleans()):
            start = draw(st.dates(datetime(2016, 1, 1).date(), datetime(2025, 12, 31).date()))  # noqa: DTZ001 - dates
            found |= {"rampStart": start.isoformat(), "rampFrom": 1, "rampStep": 1}
    return found


cases = st.builds(
    Case,
    workspaces(),
    st.fixed_dictionaries({"delayDays": st.integers(0, 3), "delayHours": st.integers(0, 30)}),
    st.lists(
        st.fixed_dictionaries({"domain": st.sampled_from(["a", "b"]), "timezone": st.none() | zones}),
        min_size=1,
        max_size=6,
    ),
    st.datetimes(datetime(2016, 1, 1), datetime(2026, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC)),  # noqa: DTZ001 - made aware at once
)


async def build(client: httpx.AsyncClient, sandbox: Sandbox, run_jobs: RunJobs, case: Case) -> str:
    """Make the case up to approved drafts whose jobs wait; returns the workspace's path."""
    made = await client.post("/api/workspaces", json=case.workspace)
    assert made.status_code == 201, made.text
    path = f"/api/workspaces/{made.json()['id']}"
    username = sandbox.new_username()
    connection = {"transactionalUrl": f"{sandbox.url}/transactional/email/v1", "tenantUrl": f"{sandbox.url}/api/2.0"}
    connection |= {"username": username, "apiKey": f"sandbox-key-{username}"}
    await client.put(f"{path}/everlytic-connection", json=connection)
    sequence = (await client.post(f"{path}/sequences", json={"name": "Spring"})).json()["id"]
    step = {"subject": "One", "bodyTemplate": "Hello", **case.delay}
    await client.post(f"{path}/sequences/{sequence}/steps", json=step)
    await client.post(f"{path}/sequences/{sequence}/activate")
    leads = []
    for number, lead in enumerate(case.leads):
        body = {"email": f"lead{number}@{lead['domain']}.example", "timezone": lead["timezone"]}
        leads.append((await client.post(f"{path}/leads", json=body)).json()["id"])
    await client.post(f"{path}/enrollments", json={"sequenceId": sequence, "leadIds": leads})
    await run_jobs()
    approved = await client.post(f"{path}/drafts/approve", json={"sequenceId": sequence})
    assert approved.is_success, approved.text
    return path


async def explained(client: httpx.AsyncClient, path: str) -> dict[UUID, datetime]:
    """Return when each enrollment's mail is said to leave; the binding constraint is the last that moves it."""
    found = {}
    for one in (await client.get(f"{path}/enrollments")).json()["items"]:
        said = (await client.get(f"{path}/enrollments/{one['id']}/explain")).json()
        if said["sendsAt"] is None:
            continue
        assert said["holds"] == []
        moving = [(each["constraint"], each["at"]) for each in said["considered"] if each["at"]]
        assert (said["binding"], said["sendsAt"]) == (moving[-1] if moving else ("none", said["sendsAt"]))
        assert len({each["constraint"] for each in said["considered"]}) == len(said["considered"]) == 9
        found[UUID(one["id"])] = datetime.fromisoformat(said["sendsAt"])
    return found


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases)
async def test_mails_leave_when_it_was_said(
    app_client: httpx.AsyncClient, sandbox: Sandbox, served: str, run_jobs: RunJobs, services: Services, case: Case
) -> None:
    """Asked before anything is sent and again after each mail that leaves: the time, to the microsecond, is right."""
    stop_clock(services.clock, case.now)
    path = await build(app_client, sandbox, run_jobs, case)
    scope = Scope(workspace_id=UUID(path.rpartition("/")[2]))
    said = [await explained(app_client, path)]
    assert len(said[0]) == len(case.leads)
    while True:
        async with transaction(services.pool, scope) as session:
            due = await session.scalar(NEXT_DUE, {"id": scope.workspace_id})
        if due is None:
            break
        stop_clock(services.clock, max(due, services.clock.now()))
        await run_jobs()
        said.append(await explained(app_client, path))

    async with transaction(services.pool, scope) as session:
        rows = await session.execute(CLAIMED, {"id": scope.workspace_id})
        claimed: dict[UUID, datetime] = {row.enrollment_id: row.claimed_at for row in rows}
    assert [answer for answer in said if answer.items() - claimed.items()] == []
    assert claimed == said[0]
