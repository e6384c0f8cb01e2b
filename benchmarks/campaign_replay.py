"""Runs a simulated campaign with the real engine, on a clock that stops at each time at which emails are due."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from ai.settings import AiSettings
from api.accounts.workspaces.service import find_workspace
from api.http.resources import Services, open_services
from api.jobs.engine import Engine, EngineSettings
from api.settings import ApiSettings
from api.tasks import tasks
from benchmarks.campaign import Recipient, simulate
from benchmarks.figures import Figure
from benchmarks.outreach import Testbed
from benchmarks.progress import Progress
from database.engine import create_pool
from database.models import Workspace
from database.roles import ENGINE_ROLE, role_url
from database.tenancy import Scope, transaction
from domain.clock import Clock
from domain.schedule import StepDelay

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""A Monday; the 60 days after it contain three public holidays and a change to summer time in Europe."""
DELAYS = [StepDelay(days=days) for days in (0, 3, 4, 5, 7, 7)]
STOPPED_SPEED = 1e-9
SIMULATED, MAX_SECONDS, MAX_DAYS = 10_000, 60.0, 60
CONNECTIONS = 6

_NEXT = text(
    "SELECT min(run_at), bool_or(status = 'running' OR run_at <= :now) FROM app.scheduled_jobs"
    " WHERE workspace_id = :workspace AND status IN ('pending', 'running') AND job_type <> 'sweep_sends'"
)
_SENT = text(
    "SELECT attempt.claimed_at, draft.step_order, count(*) FROM app.send_attempts AS attempt"
    " JOIN app.email_drafts AS draft ON draft.id = attempt.draft_id WHERE attempt.workspace_id = :workspace"
    " GROUP BY 1, 2"
)


@dataclass(frozen=True, slots=True)
class Campaign:
    """The number of leads and steps of a campaign, and its daily cap."""

    leads: int
    steps: int
    cap: int

    def settings(self) -> dict[str, object]:
        """The workspace settings: office hours in Johannesburg without holidays, a daily cap, and a ramp up to it."""
        return {
            "windowStart": "08:00:00",
            "windowEnd": "17:00:00",
            "sendingWeekdays": [0, 1, 2, 3, 4],
            "holidaysCountry": "ZA",
            "dailyCap": self.cap,
            "rampStart": START.date().isoformat(),
            "rampFrom": _ramp_step(self.cap),
            "rampStep": _ramp_step(self.cap),
        }


def _ramp_step(cap: int) -> int:
    return max(1, cap // 5)


def _set_cap(workspace: Workspace, cap: int) -> None:
    workspace.daily_cap, workspace.ramp_from, workspace.ramp_step = cap, _ramp_step(cap), _ramp_step(cap)


def compare_with_engine(testbed: Testbed, campaign: Campaign, progress: Progress) -> Iterator[Figure]:
    """Yield the duration of the simulation of a 60-day campaign, and how many sends of the engine differ from it."""
    outreach = testbed.create_outreach(**campaign.settings())
    outreach.connect(testbed.provider)
    sequence = outreach.write_sequence(campaign.steps, [delay.days for delay in DELAYS])
    outreach.add_leads(campaign.leads, sequence, 0, START)
    progress(
        f"Simulating {SIMULATED:,} leads in {len(DELAYS)} steps, and sending {campaign.leads:,} in {campaign.steps}."
    )
    yield from asyncio.run(_compare(testbed, outreach.uuid, campaign))


async def _compare(testbed: Testbed, workspace_id: UUID, campaign: Campaign) -> Sequence[Figure]:
    key = SecretStr(testbed.environment["SALESMATTER_SECRET_KEY"])
    settings = ApiSettings(secret_key=key, public_url=testbed.environment["SALESMATTER_PUBLIC_URL"], clock=None)
    owner = testbed.database.direct
    queue = create_pool(role_url(owner, ENGINE_ROLE), size=CONNECTIONS, application_name="salesmatter-bench")
    async with open_services(settings, AiSettings(), owner, name="salesmatter-bench") as services:
        async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
            workspace = await find_workspace(session, workspace_id)
        _set_cap(workspace, 2 * SIMULATED // len(DELAYS))
        started = time.perf_counter()
        sends = simulate(workspace, DELAYS, _recipients(SIMULATED), START)
        seconds = time.perf_counter() - started
        _set_cap(workspace, campaign.cap)
        expected = simulate(workspace, DELAYS[: campaign.steps], _recipients(campaign.leads), START)
        await _run_engine(services, queue, workspace_id)
        async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
            rows = await session.execute(_SENT, {"workspace": workspace_id})
            sent = Counter({(row[0], row[1] - 1): row[2] for row in rows})
    await queue.dispose()
    differing = sent - Counter((send.at, send.step) for send in expected)
    missing = campaign.leads * campaign.steps - sent.total()
    days = (sends[-1].at - START).days
    return [
        Figure(f"a campaign of {len(sends):,} emails simulated", seconds, "s", at_most=MAX_SECONDS),
        Figure("days that it takes", days, "days", at_most=MAX_DAYS),
        Figure(
            f"of {sent.total():,} emails of the engine, sent at another time than simulated",
            differing.total() + missing,
            "emails",
            at_most=0,
        ),
    ]


def _recipients(number: int) -> list[Recipient]:
    return [Recipient(f"d{index}.example", None) for index in range(number)]


async def _run_engine(services: Services, queue: AsyncEngine, workspace_id: UUID) -> None:
    """Run the engine at each time at which jobs are due, until no job is left."""

    async def find_next() -> tuple[datetime | None, bool]:
        async with AsyncSession(queue) as session:
            row = (await session.execute(_NEXT, {"workspace": workspace_id, "now": services.clock.now()})).one()
            return row[0], bool(row[1])

    async def is_done() -> bool:
        return not (await find_next())[1]

    now = START
    while now is not None:
        _stop_clock(services.clock, now)
        engine = Engine(
            queue=queue,
            pool=services.pool,
            clock=services.clock,
            tasks=tasks(services.settings),
            resources=services,
            settings=EngineSettings(poll_seconds=0.02),
        )
        await engine.run_until(is_done)
        due, _ = await find_next()
        if due is None:
            return
        now = max(due, now)


def _stop_clock(clock: Clock, at: datetime) -> None:
    clock.real_start, clock.virtual_start, clock.speed = time.time(), at, STOPPED_SPEED
