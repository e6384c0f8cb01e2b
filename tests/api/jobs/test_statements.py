"""Each statement of the queue, beside jobs, rates and workspaces that differ in one condition."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.jobs import repository, service
from api.jobs.repository import Claim, ClaimRequest
from api.jobs.schemas import JobFilter
from database.models import JobStatus
from database.roles import ENGINE_ROLE
from tests.blocking import Blocking, ignore_indexes
from tests.comparing import compared
from tests.overtaking import Overtaken, overtaken
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

JOBS, LIMITS, WORKSPACES = "app.scheduled_jobs", "app.workspace_limits", "app.workspaces"
TYPE, OTHER_TYPE = "send_email", "generate_draft"
TICK, MINUTE = timedelta(microseconds=1), timedelta(minutes=1)
FIRST = UUID(int=0)

Claiming = Callable[[AsyncSession, ClaimRequest], Awaitable[Claim]]


class Queue:
    """Workspaces and jobs in the order of their ids, whatever the order of insertion."""

    def __init__(self, workspaces: TwoWorkspaces) -> None:
        self.workspaces = workspaces
        for table in (JOBS, LIMITS):
            workspaces.owner.execute(f"DELETE FROM {table}".encode())

    def add_workspaces(self, number: int) -> list[UUID]:
        """Insert workspaces; returns their ids in order."""
        return [self.workspaces.add(WORKSPACES, id=UUID(int=place << 64)) for place in range(1, number + 1)]

    def add(self, place: int, workspace_id: UUID, run_at: datetime = NOW, **values: Any) -> UUID:
        """Insert a job that is due now by default, with an id for its place in the order of jobs."""
        row = {"id": UUID(int=place), "workspace_id": workspace_id, "job_type": TYPE, "run_at": run_at, **values}
        return self.workspaces.add(JOBS, **row)

    def add_all(self, places: Iterable[int], workspace_id: UUID) -> None:
        """Insert jobs that are due at once, the last ones first."""
        for place in sorted(places, reverse=True):
            self.add(place, workspace_id)

    def limit(self, workspace_id: UUID, job_type: str = TYPE, arrival: datetime = NOW) -> None:
        """Limit a workspace to one job of a type per minute, the next one at `arrival`."""
        self.workspaces.owner.execute(
            'INSERT INTO app.workspace_limits (workspace_id, job_type, "interval", burst, theoretical_arrival_at)'
            " VALUES (%s, %s, %s, 1, %s)",
            [workspace_id, job_type, MINUTE, arrival],
        )

    async def claim(self, most: int, after: UUID | None = None) -> Overtaken[Claim]:
        """Claim jobs, and compare all tables."""
        return await self.act(lambda session: repository.claim_jobs(session, self.claim_request(most), after))

    def claim_request(self, most: int) -> ClaimRequest:
        """Return the parameters of a claim."""
        return ClaimRequest(TYPE, self.workspaces.ids["app.job_workers"], NOW, most)

    async def act(self, act: Callable[[AsyncSession], Awaitable[Any]]) -> Overtaken[Any]:
        """Run a function of the engine without indexes that sort jobs, and compare all tables."""
        return await overtaken(
            self.workspaces, lambda _other: None, act, decide=ignore_indexes, commits_first=True, role=ENGINE_ROLE
        )


@pytest.fixture
def queue(two_workspaces: TwoWorkspaces) -> Queue:
    """A queue without jobs and rates."""
    return Queue(two_workspaces)


def places(claim: Claim) -> list[int]:
    """Return the places of the claimed jobs, in order."""
    return sorted(job.id.int for job in claim.jobs)


async def claim_by_rotation(session: AsyncSession, request: ClaimRequest) -> Claim:
    """Claim by rotation after the last workspace, so that only the oldest jobs are claimed."""
    return await repository.claim_jobs(session, request, UUID(int=2**128 - 1))


@pytest.mark.parametrize("claim", [repository.claim_without_rates, repository.claim_jobs, claim_by_rotation])
async def test_jobs_with_equal_times_are_claimed_in_the_order_of_ids(queue: Queue, claim: Claiming) -> None:
    """Of jobs that are due at the same microsecond those that were created first are claimed."""
    (workspace_id,) = queue.add_workspaces(1)
    queue.add_all(range(1, 6), workspace_id)
    queue.add(9, workspace_id, NOW - TICK)
    queue.add(8, workspace_id, NOW + TICK)
    queue.add(7, workspace_id, NOW - TICK, job_type=OTHER_TYPE)
    acted = await queue.act(lambda session: claim(session, queue.claim_request(2)))
    assert places(acted.result) == [1, 9]
    assert acted.rows == {JOBS: {UUID(int=1), UUID(int=9)}}


async def test_a_rate_of_the_type_excludes_the_fast_claim(queue: Queue) -> None:
    """If any workspace has a rate for the type the fast claim returns nothing; rates of other types do not matter."""
    first, second = queue.add_workspaces(2)
    queue.add(1, first)
    queue.limit(second, OTHER_TYPE)

    async def claim(session: AsyncSession) -> list[int]:
        return places(await repository.claim_without_rates(session, queue.claim_request(1)))

    queue.limit(second)
    assert (await queue.act(claim)).result == []
    queue.workspaces.owner.execute("DELETE FROM app.workspace_limits WHERE job_type = %s", [TYPE])
    assert (await queue.act(claim)).result == [1]


async def test_workspaces_share_a_claim(queue: Queue) -> None:
    """Each workspace's first jobs come before another's second, in the order of their creation."""
    low, high = queue.add_workspaces(2)
    queue.add_all(range(1, 41, 2), high)
    queue.add_all(range(2, 41, 2), low)
    assert places((await queue.claim(1)).result) == [1]
    assert places((await queue.claim(19)).result) == list(range(2, 21))


async def test_a_rate_gives_slots_in_the_order_of_the_jobs(queue: Queue) -> None:
    """Of jobs due at once the first starts now, and each other one a minute later; another rate does not change."""
    workspace_ids = queue.add_workspaces(3)
    for workspace_id in workspace_ids:
        for job_type in (TYPE, OTHER_TYPE):
            queue.limit(workspace_id, job_type)
    queue.add_all(range(1, 41, 2), workspace_ids[1])
    queue.add_all(range(2, 41, 2), workspace_ids[0])
    queue.add(50, workspace_ids[0], NOW + TICK)
    acted = await queue.claim(40)
    assert places(acted.result) == [1, 2]
    assert (acted.result.moved, acted.result.has_rates, acted.result.is_single_workspace) == (38, True, False)
    jobs = acted.changes.pop(JOBS)
    run_at = {UUID(key).int: datetime.fromisoformat(row["run_at"][1]) for key, row in jobs.items() if "run_at" in row}
    assert run_at == {place: NOW + (place - 1) // 2 * MINUTE for place in range(3, 41)}
    assert len(jobs) == 40
    limits = {key: set(row) - {"updated_at"} for key, row in acted.changes.pop(LIMITS).items()}
    assert limits == {f"{workspace_id} {TYPE}": {"theoretical_arrival_at"} for workspace_id in workspace_ids[:2]}
    assert acted.changes == {}


async def test_workspaces_without_a_rate_start_beside_waiting_ones(queue: Queue) -> None:
    """A job of a workspace without a rate starts now, and so does a job whose slot has come."""
    limited, free, typed = queue.add_workspaces(3)
    queue.limit(limited, arrival=NOW + MINUTE)
    queue.limit(typed, OTHER_TYPE, NOW + MINUTE)
    for place, workspace_id in enumerate((limited, free, typed), start=1):
        queue.add(place, workspace_id)
    queue.add(4, limited, paced=True)
    acted = await queue.claim(10)
    assert places(acted.result) == [2, 3, 4]
    assert acted.result.moved == 1
    assert datetime.fromisoformat(acted.changes[JOBS][str(UUID(int=1))]["run_at"][1]) == NOW + MINUTE
    assert set(acted.changes[LIMITS]) == {f"{limited} {TYPE}"}


async def test_a_claim_reports_other_workspaces_and_rates(queue: Queue) -> None:
    """A single workspace is distinguished from two, and rates of the type from rates of another type."""
    first, second = queue.add_workspaces(2)
    queue.limit(first, OTHER_TYPE)
    queue.add_all((1, 2), first)
    alone = (await queue.claim(1)).result
    assert (alone.is_single_workspace, alone.has_rates, alone.has_more) == (True, False, True)
    queue.add(3, second)
    both = (await queue.claim(2)).result
    assert (places(both), both.is_single_workspace, both.has_more) == ([2, 3], False, False)


async def test_the_rotation_continues_after_the_last_workspace(queue: Queue) -> None:
    """The rotation continues after the last visited workspace, in those with a pending job of the type."""
    first, second, third, ended, other = queue.add_workspaces(5)
    queue.add(1, first, NOW - MINUTE)
    queue.add(2, second)
    queue.add(3, third)
    queue.add(4, ended, status="completed")
    queue.add(5, other, job_type=OTHER_TYPE)
    turn = (await queue.claim(1, first)).result
    assert (places(turn), turn.last_visited) == ([2], third)
    for after in (third, ended):
        assert (await queue.claim(1, after)).result.last_visited is None


async def test_a_visited_workspace_gets_its_share(queue: Queue) -> None:
    """A visited workspace gets at most its four oldest jobs started, in the order of their creation."""
    first, second = queue.add_workspaces(2)
    queue.add_all(range(2, 8), first)
    queue.add(1, first, NOW - TICK)
    queue.add(9, first, NOW - TICK, status="completed")
    queue.add(10, second, NOW)
    turn = (await queue.claim(5, FIRST)).result
    assert (places(turn), turn.last_visited) == ([1, 2, 3, 4, 10], second)
    assert places((await queue.claim(9, FIRST)).result) == [5, 6, 7]


async def test_a_claim_waits_only_for_rates_that_it_needs(blocking: Blocking) -> None:
    """A claim does not wait for the rate of a workspace whose jobs have their slots, nor for that of another type."""
    for table in (JOBS, LIMITS):
        blocking.run(f"DELETE FROM {table}")
    blocking.add(JOBS, job_type=TYPE, status="pending", run_at=NOW, paced=True)
    other_id = blocking.add(WORKSPACES)
    rate = 'INSERT INTO app.workspace_limits (workspace_id, job_type, "interval", burst) VALUES (%s, %s, %s, 1)'
    for workspace_id, job_type in ((blocking.workspace_id, TYPE), (other_id, TYPE), (other_id, OTHER_TYPE)):
        blocking.run(rate, workspace_id, job_type, MINUTE)
    request = ClaimRequest(TYPE, UUID(int=7), NOW, 5)
    async with blocking.row_locks("UPDATE", LIMITS, [blocking.workspace_id, other_id], "workspace_id"):
        claim = await blocking.run_alone(lambda session: repository.claim_jobs(session, request), is_engine=True)
    assert len(claim.jobs) == 1


async def test_each_type_has_its_own_next_due_time(queue: Queue) -> None:
    """The next due time of a type is that of its earliest pending job; started jobs and other types do not count."""
    (workspace_id,) = queue.add_workspaces(1)
    queue.add(1, workspace_id, NOW + MINUTE)
    queue.add(2, workspace_id, NOW)
    queue.add(3, workspace_id, NOW - MINUTE, status="running")
    queue.add(4, workspace_id, NOW - 2 * MINUTE, job_type=OTHER_TYPE)
    types = [TYPE, OTHER_TYPE, "sync"]
    due = (await queue.act(lambda session: repository.next_due(session, types))).result
    assert due == {TYPE: NOW, OTHER_TYPE: NOW - 2 * MINUTE, "sync": None}


async def test_a_job_is_found_by_its_id(two_workspaces: TwoWorkspaces) -> None:
    """A job is found by its id among others of its workspace."""
    job_id = two_workspaces.add(JOBS)
    two_workspaces.add(JOBS)
    read = await compared(two_workspaces, lambda session: service.get_job(session, two_workspaces.id, job_id))
    assert read.result.id == job_id


async def test_a_bulk_retry_has_a_limit(queue: Queue) -> None:
    """Of 10,001 failed jobs the 10,000 oldest are retried, and one remains."""
    workspaces = queue.workspaces
    workspaces.owner.execute(
        "INSERT INTO app.scheduled_jobs (id, workspace_id, job_type, status, scheduled_for, run_at)"
        " SELECT lpad(to_hex(i), 32, '0')::uuid, %s, %s, 'failed', %s, %s FROM generate_series(10001, 1, -1) AS i",
        [workspaces.id, TYPE, NOW, NOW],
    )
    job_filter = JobFilter(TYPE, JobStatus.FAILED, None, None)
    retried = await compared(workspaces, lambda session: service.retry_jobs(session, workspaces.id, job_filter, NOW))
    assert retried.result == (10_000, 1)
    assert UUID(int=10_001) not in retried.rows[JOBS]
