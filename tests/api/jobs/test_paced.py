from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.jobs import repository
from api.jobs.repository import Claim, ClaimRequest, Ending
from database.roles import ENGINE_ROLE
from domain.job import JobStatus
from tests.overtaking import Overtaken, overtaken
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

JOBS, TYPE = "app.scheduled_jobs", "send_email"
MINUTE = timedelta(minutes=1)


def limit(workspaces: TwoWorkspaces, *, burst: int, arrival: timedelta) -> None:
    """Limit the workspace to one job a minute, with `burst` at once; its next slot is `arrival` from now."""
    workspaces.owner.execute(
        "INSERT INTO app.workspace_limits (workspace_id, job_type, interval, burst, theoretical_arrival_at)"
        " VALUES (%s, %s, %s, %s, %s)",
        [workspaces.id, TYPE, MINUTE, burst, NOW + arrival],
    )


async def claim(workspaces: TwoWorkspaces) -> Overtaken[Claim]:
    """Claim what is due now, as a worker does."""
    request = ClaimRequest(TYPE, workspaces.ids["app.job_workers"], NOW, most=10)
    return await overtaken(
        workspaces,
        lambda _other: None,
        lambda session: repository.claim_jobs(session, request),
        commits_first=True,
        role=ENGINE_ROLE,
    )


@pytest.mark.parametrize("burst", [1, 2])
@pytest.mark.parametrize("arrival", [-60 * MINUTE, -MINUTE, timedelta(0)])
async def test_an_idle_hour_earns_no_slots(two_workspaces: TwoWorkspaces, burst: int, arrival: timedelta) -> None:
    """After any idle time `burst` jobs start at once, and the others wait a minute each."""
    limit(two_workspaces, burst=burst, arrival=arrival)
    jobs = [two_workspaces.add(JOBS, job_type=TYPE, run_at=NOW - MINUTE) for _ in range(4)]

    claimed = await claim(two_workspaces)

    assert [job.id for job in claimed.result.jobs] == jobs[:burst]
    rows = claimed.changes[JOBS]
    slots = [rows[str(job)]["run_at"][1] for job in jobs[burst:]]
    assert slots == [moment.isoformat() for moment in (NOW + MINUTE * number for number in range(1, 5 - burst))]
    assert all(rows[str(job)]["paced"] == (False, True) for job in jobs[burst:])


@pytest.mark.parametrize(
    ("status", "is_paced"), [(JobStatus.PENDING, False), (JobStatus.FAILED, True), (JobStatus.CANCELLED, True)]
)
async def test_a_requeued_job_uses_another_slot(
    two_workspaces: TwoWorkspaces, status: JobStatus, is_paced: bool
) -> None:
    """A slot counts for one start: a job that is pending again has none, and an ended job keeps its slot."""
    worker: UUID = two_workspaces.ids["app.job_workers"]
    job = two_workspaces.add(JOBS, job_type=TYPE, status="running", locked_by=worker, attempts=1, paced=True)

    async def finish(session: AsyncSession) -> None:
        await repository.finish_jobs(session, worker, NOW, [Ending(job, 1, status, NOW, "error")])

    await overtaken(two_workspaces, lambda _other: None, finish, commits_first=True, role=ENGINE_ROLE)

    assert two_workspaces.owner.execute("SELECT paced FROM app.scheduled_jobs WHERE id = %s", [job]).fetchone() == (
        is_paced,
    )
