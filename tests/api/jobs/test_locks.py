from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.jobs import repository
from api.jobs.repository import Claim, ClaimRequest
from api.jobs.schemas import JobFilter
from tests.blocking import Blocking
from tests.database.rows import NOW

pytestmark = pytest.mark.anyio

JOBS, LIMITS = "app.scheduled_jobs", "app.workspace_limits"
TYPE = "send_email"
WORKER = UUID(int=7)

Claiming = Callable[[AsyncSession, ClaimRequest], Awaitable[Claim]]


async def claim_by_rotation(session: AsyncSession, request: ClaimRequest) -> Claim:
    """Claim jobs by rotation."""
    return await repository.claim_jobs(session, request, UUID(int=0))


def add_rate(blocking: Blocking, workspace_id: UUID, interval: timedelta) -> None:
    """Let a workspace start one job in each interval."""
    rate = 'INSERT INTO app.workspace_limits (workspace_id, job_type, "interval", burst) VALUES (%s, %s, %s, 1)'
    blocking.run(rate, workspace_id, TYPE, interval)


@pytest.fixture
def jobs(blocking: Blocking) -> list[UUID]:
    """Three jobs that are due, the oldest with the lowest id first, of a type without a rate."""
    blocking.run("DELETE FROM app.workspace_limits")
    blocking.run("DELETE FROM app.scheduled_jobs")
    # Ids that are made within a millisecond are in any order.
    return [
        blocking.add(JOBS, id=job_id, job_type=TYPE, status="pending", run_at=NOW - timedelta(minutes=3 - number))
        for number, job_id in enumerate(sorted(uuid4() for _ in range(3)))
    ]


@pytest.mark.parametrize(
    "claim",
    [
        pytest.param(
            repository.claim_without_rates,
            marks=pytest.mark.locks("api.jobs.repository:_CLAIM_WITHOUT_RATES"),
            id="freely",
        ),
        pytest.param(repository.claim_jobs, marks=pytest.mark.locks("api.jobs.repository:_OLDEST"), id="the oldest"),
        pytest.param(
            claim_by_rotation,
            marks=pytest.mark.locks("api.jobs.repository:_CLAIM_ROTATION:1", "api.jobs.repository:_CLAIM_ROTATION:2"),
            id="in turn",
        ),
    ],
)
async def test_locked_jobs_are_skipped(blocking: Blocking, jobs: list[UUID], claim: Claiming) -> None:
    """A claim does not wait for jobs that another transaction has locked, and claims the others."""
    first, *others = jobs
    claimed = await blocking.prove_skipped(
        JOBS, first, lambda session: claim(session, ClaimRequest(TYPE, WORKER, NOW, 3)), is_engine=True
    )
    assert {job.id for job in claimed.jobs} == set(others)


@pytest.mark.parametrize("claim", [repository.claim_without_rates, repository.claim_jobs])
async def test_a_job_is_claimed_once(blocking: Blocking, jobs: list[UUID], claim: Claiming) -> None:
    """Two claims at once take different jobs, and neither waits for the other."""

    async def claim_most(session: AsyncSession, most: int) -> set[UUID]:
        return {job.id for job in (await claim(session, ClaimRequest(TYPE, WORKER, NOW, most))).jobs}

    async with blocking.kept_open(lambda session: claim_most(session, 1), is_engine=True) as first:
        second = await blocking.run_alone(lambda session: claim_most(session, 3), is_engine=True)
    assert len(first.result) == 1
    assert not first.result & second
    assert second


@pytest.mark.locks("api.jobs.repository:_START")
async def test_rates_are_locked_by_workspace(blocking: Blocking, jobs: list[UUID]) -> None:
    """A claim locks the rates of workspaces against every other lock, the lower id first."""
    high = blocking.workspace_id
    low = blocking.add("app.workspaces", id=UUID(int=high.int - 1))
    blocking.add(JOBS, job_type=TYPE, status="pending", run_at=NOW, workspace_id=low)
    for workspace_id in (high, low):
        add_rate(blocking, workspace_id, timedelta(seconds=1))
    await blocking.prove_row_lock(
        "UPDATE",
        LIMITS,
        [low, high],
        lambda session: repository.claim_jobs(session, ClaimRequest(TYPE, WORKER, NOW, 4)),
        key="workspace_id",
        is_engine=True,
    )


@pytest.mark.locks("api.jobs.repository:_START")
async def test_a_slot_is_used_once(blocking: Blocking, jobs: list[UUID]) -> None:
    """A claim that waits for another one of the same workspace uses the next slot, and reschedules its job to it."""
    add_rate(blocking, blocking.workspace_id, timedelta(hours=1))

    async def claim(session: AsyncSession) -> Any:
        return await repository.claim_jobs(session, ClaimRequest(TYPE, WORKER, NOW, 1))

    blocking.run("DELETE FROM app.scheduled_jobs WHERE id = %s", jobs[2])
    async with blocking.kept_open(claim, is_engine=True) as first:
        blocking.add(JOBS, job_type=TYPE, status="pending", run_at=NOW)
        second = await blocking.start_waiting(claim, first.pid, is_engine=True)
    later = await second
    assert (len(first.result.jobs), len(later.jobs), later.moved) == (1, 0, 1)


@pytest.mark.locks("api.jobs.repository:apply_event_to_all")
async def test_a_bulk_change_skips_locked_jobs(blocking: Blocking, jobs: list[UUID]) -> None:
    """Cancelling many jobs does not wait for a locked one, and cancels the oldest of the others."""
    pending = JobFilter(TYPE, None, None, None)
    blocking.put_higher_first(JOBS, jobs)
    moved = await blocking.prove_skipped(
        JOBS,
        jobs[0],
        lambda session: repository.apply_event_to_all(
            session, blocking.workspace_id, pending, {"status": "cancelled"}, most=1
        ),
    )
    assert moved == 1
    assert blocking.run("SELECT id FROM app.scheduled_jobs WHERE status = 'cancelled'") == [(jobs[1],)]
