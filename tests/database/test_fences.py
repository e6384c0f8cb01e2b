from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from database import jobs
from database.roles import ENGINE_ROLE
from domain.job import JobStatus
from tests.overtaking import overtaken, rows_in_each, setting
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

JOBS, WORKERS = "app.scheduled_jobs", "app.job_workers"
SEND = "send_email"
TICK = timedelta(microseconds=1)


def add_running(workspaces: TwoWorkspaces, **values: Any) -> UUID:
    """Insert a job that the workspace's worker runs."""
    running = {"job_type": SEND, "status": "running", "attempts": 1, "locked_by": workspaces.ids[WORKERS]}
    return workspaces.add(JOBS, **{**running, **values})


def moved_and_running(workspaces: TwoWorkspaces) -> tuple[dict[UUID, dict[str, Any]], set[UUID]]:
    """Insert running jobs; return those that another transaction changes, with the changes, and the one that stays."""
    moved, running = rows_in_each(
        lambda **values: add_running(workspaces, **values), "status", {JobStatus.RUNNING}, JobStatus
    )
    return {**moved, add_running(workspaces): {"locked_by": workspaces.neighbour[WORKERS]}}, running


@pytest.mark.fences("database.jobs:_RELEASE_UNKNOWN")
async def test_only_unknown_claims_of_the_worker_are_released(two_workspaces: TwoWorkspaces) -> None:
    """A claim that the worker does not know is released; a known job and one changed or claimed meanwhile are not."""
    moved, running = moved_and_running(two_workspaces)
    known = add_running(two_workspaces)
    add_running(two_workspaces, job_type="other")
    worker = two_workspaces.ids[WORKERS]
    overtaking = await overtaken(
        two_workspaces,
        setting(JOBS, moved),
        lambda session: jobs.release_unknown_claims(session, job_type=SEND, worker=worker, known=[known], now=NOW),
        role=ENGINE_ROLE,
    )
    assert overtaking.rows == {JOBS: running}


@pytest.mark.fences("database.jobs:_RETIRE")
async def test_retiring_a_worker_releases_only_its_running_jobs(two_workspaces: TwoWorkspaces) -> None:
    """The running jobs of a stopping worker go back to the queue; jobs changed or claimed meanwhile do not."""
    moved, running = moved_and_running(two_workspaces)
    worker = two_workspaces.ids[WORKERS]
    overtaking = await overtaken(
        two_workspaces,
        setting(JOBS, moved),
        lambda session: jobs.retire_worker(session, worker, NOW),
        role=ENGINE_ROLE,
    )
    assert overtaking.rows == {JOBS: running, WORKERS: {worker}}


def set_heartbeats(workspaces: TwoWorkspaces, connection: psycopg.Connection, **seconds_ago: float) -> None:
    """Set the last heartbeat of workers to some seconds ago, by the database clock."""
    for worker, seconds in seconds_ago.items():
        connection.execute(
            "UPDATE app.job_workers SET beat_at = now() - make_interval(secs => %s) WHERE id = %s",
            [seconds, UUID(worker)],
        )


@pytest.mark.fences("database.jobs:_REQUEUE_LOST")
async def test_only_running_jobs_are_requeued(two_workspaces: TwoWorkspaces) -> None:
    """The running jobs of a lost worker go back to the queue, and jobs changed meanwhile do not."""
    lost, worker = two_workspaces.ids[WORKERS], two_workspaces.neighbour[WORKERS]
    set_heartbeats(two_workspaces, two_workspaces.owner, **{str(lost): 120})
    moved, running = rows_in_each(
        lambda **values: add_running(two_workspaces, **values), "status", {JobStatus.RUNNING}, JobStatus
    )
    taken = {add_running(two_workspaces): {"locked_by": worker}}
    overtaking = await overtaken(
        two_workspaces,
        setting(JOBS, {**moved, **taken}),
        lambda session: jobs.requeue_lost_jobs(session, lost_after=60, now=NOW, verified=[]),
        role=ENGINE_ROLE,
    )
    assert [row.status for row in overtaking.result] == ["pending"]
    assert overtaking.rows == {JOBS: running}


@pytest.mark.fences("database.jobs:_REQUEUE_LOST", "database.jobs:_DELETE_LOST_WORKERS")
async def test_a_worker_with_a_recent_heartbeat_keeps_its_jobs(two_workspaces: TwoWorkspaces) -> None:
    """A worker that seemed lost and sent a heartbeat keeps its job; a worker lost for a day is deleted."""
    day = 24 * 60 * 60
    workers = {name: two_workspaces.add(WORKERS) for name in ("late", "lost", "gone")}
    job_ids = {name: add_running(two_workspaces, locked_by=worker) for name, worker in workers.items()}
    set_heartbeats(two_workspaces, two_workspaces.owner, **{str(worker): 2 * day for worker in workers.values()})
    late, lost, gone = map(str, workers.values())
    overtaking = await overtaken(
        two_workspaces,
        lambda other: set_heartbeats(two_workspaces, other, **{late: 30, lost: day - 60, gone: day + 60}),
        lambda session: jobs.requeue_lost_jobs(session, lost_after=60, now=NOW, verified=[]),
        commits_first=True,
        role=ENGINE_ROLE,
    )
    assert overtaking.rows == {JOBS: {job_ids["lost"], job_ids["gone"]}, WORKERS: {workers["gone"]}}


@pytest.mark.fences("database.jobs:_DELETE_LOST_WORKERS")
async def test_a_worker_that_sends_a_heartbeat_is_not_deleted(two_workspaces: TwoWorkspaces) -> None:
    """A worker without a heartbeat for two days that sends one during the deletion is not deleted."""
    silent, gone = (two_workspaces.add(WORKERS) for _ in range(2))
    two_days = 2 * 24 * 60 * 60
    set_heartbeats(two_workspaces, two_workspaces.owner, **{str(worker): two_days for worker in (silent, gone)})
    overtaking = await overtaken(
        two_workspaces,
        lambda other: set_heartbeats(two_workspaces, other, **{str(silent): 0}),
        lambda session: jobs.requeue_lost_jobs(session, lost_after=60, now=NOW, verified=[]),
        role=ENGINE_ROLE,
    )
    assert overtaking.rows == {WORKERS: {gone}}


@pytest.mark.fences("database.jobs:_ARCHIVE")
async def test_only_jobs_that_ended_long_ago_are_archived(two_workspaces: TwoWorkspaces) -> None:
    """Jobs that ended before a time are archived; jobs retried or ended later meanwhile, and jobs with a key, stay."""
    before, slots_before = NOW, NOW - timedelta(days=1)

    def add_ended(**values: Any) -> UUID:
        ended = {"status": "completed", "completed_at": before - TICK, "scheduled_for": slots_before - TICK}
        return two_workspaces.add(JOBS, **{**ended, **values})

    moved, ended = rows_in_each(add_ended, "status", {JobStatus.COMPLETED, JobStatus.CANCELLED}, JobStatus)
    ended.add(add_ended(dedupe_key="slot:1"))
    overtaken_jobs = {
        add_ended(): {"completed_at": before},
        add_ended(dedupe_key="slot:2"): {"scheduled_for": slots_before},
    }
    add_ended(dedupe_key="run 1")
    overtaking = await overtaken(
        two_workspaces,
        setting(JOBS, {**moved, **overtaken_jobs}),
        lambda session: jobs.archive_jobs(
            # Jobs created up to a minute from now, so all of them.
            session,
            after=UUID(int=0),
            age_seconds=-60,
            before=before,
            slots_before=slots_before,
            most=50,
        ),
        commits_first=True,
        role=ENGINE_ROLE,
    )
    assert overtaking.rows == {
        JOBS: ended, "app.archived_jobs": {f"{two_workspaces.id} {job_id}" for job_id in ended}
    }  # fmt: skip
