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
    """Insert running jobs; return those that are to be moved, or taken by another worker, and the one that stays."""
    moved, running = rows_in_each(
        lambda **values: add_running(workspaces, **values), "status", {JobStatus.RUNNING}, JobStatus
    )
    return {**moved, add_running(workspaces): {"locked_by": workspaces.neighbour[WORKERS]}}, running


@pytest.mark.fences("database.jobs:_GIVE_BACK_UNKNOWN")
async def test_a_worker_gives_back_only_what_it_holds_unknowingly(two_workspaces: TwoWorkspaces) -> None:
    """A job that a worker runs without knowing goes back; none that it knows, nor one moved or taken meanwhile."""
    moved, running = moved_and_running(two_workspaces)
    known = add_running(two_workspaces)
    add_running(two_workspaces, job_type="other")
    worker = two_workspaces.ids[WORKERS]
    overtaking = await overtaken(
        two_workspaces,
        setting(JOBS, moved),
        lambda session: jobs.give_back_unknown(session, job_type=SEND, worker=worker, known=[known], now=NOW),
        role=ENGINE_ROLE,
    )
    assert overtaking.rows == {JOBS: running}


@pytest.mark.fences("database.jobs:_RETIRE")
async def test_a_worker_that_stops_gives_back_only_what_it_holds(two_workspaces: TwoWorkspaces) -> None:
    """What a stopping worker runs still goes back on the queue; what was moved or taken from it meanwhile stays."""
    moved, running = moved_and_running(two_workspaces)
    worker = two_workspaces.ids[WORKERS]
    overtaking = await overtaken(
        two_workspaces,
        setting(JOBS, moved),
        lambda session: jobs.retire_worker(session, worker, NOW),
        role=ENGINE_ROLE,
    )
    assert overtaking.rows == {JOBS: running, WORKERS: {worker}}


def beat(workspaces: TwoWorkspaces, connection: psycopg.Connection, **seconds_ago: float) -> None:
    """Let workers have beaten so many seconds ago by the database's clock."""
    for worker, seconds in seconds_ago.items():
        connection.execute(
            "UPDATE app.job_workers SET beat_at = now() - make_interval(secs => %s) WHERE id = %s",
            [seconds, UUID(worker)],
        )


@pytest.mark.fences("database.jobs:_REAP")
async def test_only_running_jobs_are_reaped(two_workspaces: TwoWorkspaces) -> None:
    """What a lost worker runs still goes back on the queue, and what was moved meanwhile stays."""
    lost, worker = two_workspaces.ids[WORKERS], two_workspaces.neighbour[WORKERS]
    beat(two_workspaces, two_workspaces.owner, **{str(lost): 120})
    moved, running = rows_in_each(
        lambda **values: add_running(two_workspaces, **values), "status", {JobStatus.RUNNING}, JobStatus
    )
    taken = {add_running(two_workspaces): {"locked_by": worker}}
    overtaking = await overtaken(
        two_workspaces,
        setting(JOBS, {**moved, **taken}),
        lambda session: jobs.reap(session, lost_after=60, now=NOW, verified=[]),
        role=ENGINE_ROLE,
    )
    assert [row.status for row in overtaking.result] == ["pending"]
    assert overtaking.rows == {JOBS: running}


@pytest.mark.fences("database.jobs:_REAP", "database.jobs:_FORGET_WORKERS")
async def test_a_worker_that_has_just_beaten_keeps_its_jobs(two_workspaces: TwoWorkspaces) -> None:
    """A worker that seemed lost and beat a moment ago keeps its job; one that was lost for a day is forgotten."""
    day = 24 * 60 * 60
    workers = {name: two_workspaces.add(WORKERS) for name in ("late", "lost", "gone")}
    held = {name: add_running(two_workspaces, locked_by=worker) for name, worker in workers.items()}
    beat(two_workspaces, two_workspaces.owner, **{str(worker): 2 * day for worker in workers.values()})
    late, lost, gone = map(str, workers.values())
    overtaking = await overtaken(
        two_workspaces,
        lambda other: beat(two_workspaces, other, **{late: 30, lost: day - 60, gone: day + 60}),
        lambda session: jobs.reap(session, lost_after=60, now=NOW, verified=[]),
        commits_first=True,
        role=ENGINE_ROLE,
    )
    assert overtaking.rows == {JOBS: {held["lost"], held["gone"]}, WORKERS: {workers["gone"]}}


@pytest.mark.fences("database.jobs:_FORGET_WORKERS")
async def test_a_worker_that_beats_is_not_forgotten(two_workspaces: TwoWorkspaces) -> None:
    """A worker that was silent for two days and beats while it is being forgotten stays in the list."""
    silent, gone = (two_workspaces.add(WORKERS) for _ in range(2))
    beat(two_workspaces, two_workspaces.owner, **{str(worker): 2 * 24 * 60 * 60 for worker in (silent, gone)})
    overtaking = await overtaken(
        two_workspaces,
        lambda other: beat(two_workspaces, other, **{str(silent): 0}),
        lambda session: jobs.reap(session, lost_after=60, now=NOW, verified=[]),
        role=ENGINE_ROLE,
    )
    assert overtaking.rows == {WORKERS: {gone}}


@pytest.mark.fences("database.jobs:_ARCHIVE")
async def test_only_jobs_that_ended_long_ago_are_archived(two_workspaces: TwoWorkspaces) -> None:
    """Jobs that ended before a time leave the queue; those tried again or ended later meanwhile, and keys, stay."""
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
        lambda session: jobs.archive(
            # Made up to a minute from now: all of them.
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
