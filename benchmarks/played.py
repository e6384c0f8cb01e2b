"""A simulated campaign, played: the real engine on a clock that stands still at each moment at which mails are due."""

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
from api.http.clock import Clock
from api.http.resources import Services, open_services
from api.jobs.engine import Engine, EngineSettings
from api.settings import ApiSettings
from api.tasks import tasks
from benchmarks.campaign import Recipient, simulate
from benchmarks.figures import Figure
from benchmarks.outreach import Stage
from benchmarks.registry import Say
from database.engine import create_pool
from database.models import Workspace
from database.roles import ENGINE_ROLE, role_url
from database.tenancy import Scope, transaction
from domain.schedule import StepDelay

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""A Monday; three public holidays and a change of Europe's clocks follow within 60 days."""
DELAYS = [StepDelay(days=days) for days in (0, 3, 4, 5, 7, 7)]
STANDSTILL = 1e-9
SIMULATED, MOST_SECONDS, MOST_DAYS = 10_000, 60.0, 60
CONNECTIONS = 6

_NEXT = text(
    "SELECT min(run_at), bool_or(status = 'running' OR run_at <= :now) FROM app.scheduled_jobs"
    " WHERE workspace_id = :workspace AND status IN ('pending', 'running') AND job_type <> 'sweep_sends'"
)
_LEFT = text(
    "SELECT attempt.claimed_at, draft.step_order, count(*) FROM app.send_attempts AS attempt"
    " JOIN app.email_drafts AS draft ON draft.id = attempt.draft_id WHERE attempt.workspace_id = :workspace"
    " GROUP BY 1, 2"
)


@dataclass(frozen=True, slots=True)
class Campaign:
    """How many leads the engine writes to, in how many steps, and how many of them a day at the most."""

    leads: int
    steps: int
    cap: int

    def settings(self) -> dict[str, object]:
        """The workspace's settings: office hours of Johannesburg without holidays, a cap, and a ramp up to it."""
        return {
            "windowStart": "08:00:00",
            "windowEnd": "17:00:00",
            "sendingWeekdays": [0, 1, 2, 3, 4],
            "holidaysCountry": "ZA",
            "dailyCap": self.cap,
            "rampStart": START.date().isoformat(),
            "rampFrom": _first(self.cap),
            "rampStep": _first(self.cap),
        }


def _first(cap: int) -> int:
    return max(1, cap // 5)


def _widen(workspace: Workspace, cap: int) -> None:
    workspace.daily_cap, workspace.ramp_from, workspace.ramp_step = cap, _first(cap), _first(cap)


def figures(stage: Stage, campaign: Campaign, say: Say) -> Iterator[Figure]:
    """Yield how long a campaign of 60 days takes to simulate, and in how many mails the engine differs from it."""
    outreach = stage.outreach(**campaign.settings())
    outreach.connect(stage.provider)
    sequence = outreach.write_sequence(campaign.steps, [delay.days for delay in DELAYS])
    outreach.put(campaign.leads, sequence, 0, START)
    say(f"Simulating {SIMULATED:,} leads in {len(DELAYS)} steps, and playing {campaign.leads:,} in {campaign.steps}.")
    yield from asyncio.run(_compare(stage, outreach.uuid, campaign))


async def _compare(stage: Stage, workspace_id: UUID, campaign: Campaign) -> Sequence[Figure]:
    key = SecretStr(stage.environment["SALESMATTER_SECRET_KEY"])
    settings = ApiSettings(secret_key=key, public_url=stage.environment["SALESMATTER_PUBLIC_URL"], clock=None)
    owner = stage.database.direct
    queue = create_pool(role_url(owner, ENGINE_ROLE), size=CONNECTIONS, application_name="salesmatter-bench")
    async with open_services(settings, AiSettings(), owner, name="salesmatter-bench") as services:
        async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
            workspace = await find_workspace(session, workspace_id)
        _widen(workspace, 2 * SIMULATED // len(DELAYS))
        started = time.perf_counter()
        whole = simulate(workspace, DELAYS, _recipients(SIMULATED), START)
        seconds = time.perf_counter() - started
        _widen(workspace, campaign.cap)
        expected = simulate(workspace, DELAYS[: campaign.steps], _recipients(campaign.leads), START)
        await _play(services, queue, workspace_id)
        async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
            rows = await session.execute(_LEFT, {"workspace": workspace_id})
            left = Counter({(row[0], row[1] - 1): row[2] for row in rows})
    await queue.dispose()
    differing = left - Counter((one.at, one.step) for one in expected)
    missing = campaign.leads * campaign.steps - left.total()
    days = (whole[-1].at - START).days
    return [
        Figure(f"a campaign of {len(whole):,} mails simulated", seconds, "s", at_most=MOST_SECONDS),
        Figure("days that it takes", days, "days", at_most=MOST_DAYS),
        Figure(
            f"of {left.total():,} mails through the engine, at another moment than simulated",
            differing.total() + missing,
            "mails",
            at_most=0,
        ),
    ]


def _recipients(number: int) -> list[Recipient]:
    return [Recipient(f"d{one}.example", None) for one in range(number)]


async def _play(services: Services, queue: AsyncEngine, workspace_id: UUID) -> None:
    """Work from one moment at which something is due to the next, until nothing is."""
    asked = {"workspace": workspace_id}

    async def look() -> tuple[datetime | None, bool]:
        async with AsyncSession(queue) as session:
            row = (await session.execute(_NEXT, {**asked, "now": services.clock.now()})).one()
            return row[0], bool(row[1])

    async def is_done() -> bool:
        return not (await look())[1]

    now = START
    while now is not None:
        _stop(services.clock, now)
        engine = Engine(
            queue=queue,
            pool=services.pool,
            clock=services.clock,
            tasks=tasks(services.settings),
            resources=services,
            settings=EngineSettings(poll_seconds=0.02),
        )
        await engine.run_until(is_done)
        due, _ = await look()
        if due is None:
            return
        now = max(due, now)


def _stop(clock: Clock, at: datetime) -> None:
    clock.real_start, clock.virtual_start, clock.speed = time.time(), at, STANDSTILL
