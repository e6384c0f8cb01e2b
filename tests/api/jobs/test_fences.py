from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.jobs import repository
from api.jobs.repository import Claim, ClaimRequest, Ending
from api.jobs.schemas import JobFilter
from database.roles import ENGINE_ROLE
from domain.job import JobEvent, JobStatus, source_statuses
from tests.overtaking import overtaken, rows_in_each, setting
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

JOBS = "app.scheduled_jobs"
SEND = "send_email"
TICK = timedelta(microseconds=1)
"""The least by which two times of Postgres differ."""


def add_job(workspaces: TwoWorkspaces, **values: Any) -> UUID:
    """Insert a job that is due, of the type that these tests are about."""
    return workspaces.add(JOBS, **{"job_type": SEND, **values})


async def claim_by_rotation(session: AsyncSession, request: ClaimRequest) -> Claim:
    """Claim like the engine by rotation, from the first workspace."""
    return await repository.claim_jobs(session, request, UUID(int=0))


@pytest.mark.fences(
    "api.jobs.repository:_CLAIM_WITHOUT_RATES", "api.jobs.repository:_OLDEST", "api.jobs.repository:_CLAIM_ROTATION"
)
@pytest.mark.parametrize("claim", [repository.claim_without_rates, repository.claim_jobs, claim_by_rotation])
async def test_only_pending_jobs_that_are_due_are_claimed(
    two_workspaces: TwoWorkspaces, claim: Callable[[AsyncSession, ClaimRequest], Awaitable[Claim]]
) -> None:
    """A worker claims due jobs that are still pending, and none that was changed or deferred meanwhile."""
    jobs = two_workspaces
    moved, due = rows_in_each(lambda **values: add_job(jobs, **values), "status", {JobStatus.PENDING}, JobStatus)
    deferred = add_job(jobs)
    add_job(jobs, job_type="other")
    request = ClaimRequest(SEND, jobs.ids["app.job_workers"], NOW, most=50)
    overtaking = await overtaken(
        jobs,
        setting(JOBS, {**moved, deferred: {"run_at": NOW + TICK}}),
        lambda session: claim(session, request),
        commits_first=True,
        role=ENGINE_ROLE,
    )
    assert {job.id for job in overtaking.result.jobs} == due
    assert overtaking.rows == {JOBS: due}
    (columns,) = overtaking.changes[JOBS].values()
    assert (columns["status"], columns["attempts"]) == (("pending", "running"), (0, 1))
    assert columns["locked_by"] == (None, str(request.worker))


@pytest.mark.fences("api.jobs.repository:_COMPLETE", "api.jobs.repository:_FINISH")
@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.PENDING, JobStatus.FAILED, JobStatus.CANCELLED])
async def test_a_worker_ends_only_jobs_that_it_still_runs(two_workspaces: TwoWorkspaces, status: JobStatus) -> None:
    """A result is recorded unless the job is not running, belongs to another worker, or is in a later attempt."""
    worker, other_worker = (two_workspaces.ids["app.job_workers"], two_workspaces.neighbour["app.job_workers"])

    def add_running(**values: Any) -> UUID:
        return add_job(two_workspaces, locked_by=worker, attempts=2, **values)

    moved, running = rows_in_each(add_running, "status", {JobStatus.RUNNING}, JobStatus)
    taken = {add_running(status="running"): {"locked_by": locked_by} for locked_by in (other_worker, None)}
    retried = {add_running(status="running"): {"attempts": attempts} for attempts in (1, 3)}
    add_running(status="running")  # which nothing is said about
    endings = [Ending(job_id, 2, status, NOW, "error") for job_id in (*moved, *taken, *retried, *running)]
    overtaking = await overtaken(
        two_workspaces,
        setting(JOBS, {**moved, **taken, **retried}),
        lambda session: repository.finish_jobs(session, worker, NOW, endings),
        role=ENGINE_ROLE,
    )
    assert overtaking.rows == {JOBS: running}
    (columns,) = overtaking.changes[JOBS].values()
    assert (columns["status"], columns["locked_by"]) == (("running", status.value), (str(worker), None))


@pytest.mark.fences("api.jobs.repository:apply_event")
@pytest.mark.parametrize("event", JobEvent)
async def test_users_change_only_jobs_in_a_legal_status(two_workspaces: TwoWorkspaces, event: JobEvent) -> None:
    """A job is cancelled or retried only if its status still allows it, and a concurrent change stays."""
    sources = source_statuses(event)
    moved, legal = rows_in_each(lambda **values: add_job(two_workspaces, **values), "status", sources, JobStatus)
    foreign = two_workspaces.add(JOBS, two_workspaces.neighbour, status=min(sources))

    async def move_each(session: AsyncSession) -> set[UUID]:
        answers = [
            await repository.apply_event(session, two_workspaces.id, job_id, sources, {"last_error": "moved"})
            for job_id in (*moved, *legal, foreign)
        ]
        return {job.id for job in answers if job is not None}

    overtaking = await overtaken(two_workspaces, setting(JOBS, moved), move_each)
    assert overtaking.result == legal
    assert overtaking.rows == {JOBS: legal}


@pytest.mark.fences("api.jobs.repository:apply_event_to_all")
async def test_users_retry_only_matching_jobs(two_workspaces: TwoWorkspaces) -> None:
    """Failed jobs of a period are retried, from its start and before its end, and none that was changed meanwhile."""
    jobs, end = two_workspaces, NOW + timedelta(hours=1)

    def add_failed(**values: Any) -> UUID:
        return add_job(jobs, **{"scheduled_for": NOW, **values})

    moved, failed = rows_in_each(add_failed, "status", {JobStatus.FAILED}, JobStatus)
    failed.add(add_failed(status="failed", scheduled_for=end - TICK))
    for values in ({"scheduled_for": NOW - TICK}, {"scheduled_for": end}, {"job_type": "other"}):
        add_failed(status="failed", **values)
    jobs.add(JOBS, jobs.neighbour, job_type=SEND, status="failed")
    job_filter = JobFilter(SEND, JobStatus.FAILED, NOW, end)
    overtaking = await overtaken(
        jobs,
        setting(JOBS, moved),
        lambda session: repository.apply_event_to_all(session, jobs.id, job_filter, {"last_error": "moved"}, most=50),
        commits_first=True,
    )
    assert overtaking.result == len(failed)
    assert overtaking.rows == {JOBS: failed}
