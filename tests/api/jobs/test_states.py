"""Every transition of a job in every state: by a worker, by its loss, by users, and by a deleted workspace."""

from collections.abc import AsyncIterator, Collection, Iterable
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.accounts.workspaces import repository as workspaces
from api.jobs import repository, service
from api.jobs.repository import ClaimRequest, Ending
from api.jobs.schemas import JobFilter
from database import jobs
from database.engine import create_pool
from database.models import JobStatus
from database.roles import ENGINE_ROLE, owner_url, role_url
from tests.api.states import EARLIER, LATER, NOW, Row, States, differing, moment
from tests.lifecycles import JOB, REFUSED, results_of

pytestmark = pytest.mark.anyio

BY_PEOPLE = results_of(JOB)
TYPE = "work"
LOST = timedelta(hours=1)
BASE: Row = {"attempts": 2, "max_attempts": 3, "last_error": "before", "paced": True, "run_at": EARLIER}
"""What all jobs are before an event."""


@pytest.fixture
async def queue(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Connect like a worker."""
    pool = create_pool(role_url(owner_url(database_url), ENGINE_ROLE), size=2)
    yield pool.execution_options(isolation_level="AUTOCOMMIT")
    await pool.dispose()


class Jobs:
    """A job in each state; the running ones belong to our worker, to another live one, to a lost one, or to none."""

    def __init__(self, states: States) -> None:
        self.states = states
        self.worker, self.other, self.silent = (self.add_worker(silent_for) for silent_for in ("0", "0", "1 hour"))
        ended: Row = {"completed_at": EARLIER, "started_at": EARLIER}
        self.ids = {
            "pending": self.add("pending"),
            "later": self.add("pending", run_at=LATER),
            "running": self.add("running", locked_by=self.worker, started_at=EARLIER),
            "another's": self.add("running", locked_by=self.other, started_at=EARLIER),
            "silent": self.add("running", locked_by=self.silent, started_at=EARLIER),
            "used up": self.add("running", locked_by=self.silent, started_at=EARLIER, attempts=3),
            "without a worker": self.add("running", locked_by=uuid4(), started_at=EARLIER),
            **{status: self.add(status, **ended) for status in ("completed", "failed", "cancelled")},
        }
        states.look()

    def add_worker(self, silent_for: str) -> str:
        """Register a worker without a recent heartbeat."""
        made = self.states.owner.execute(
            "INSERT INTO app.job_workers (host, beat_at) VALUES ('here', now() - CAST(%s AS interval)) RETURNING id",
            [silent_for],
        )
        (row,) = made.fetchall()
        return str(row["id"])

    def add(self, status: str, **values: object) -> str:
        """Make a job."""
        return self.states.add(
            "scheduled_jobs", job_type=TYPE, scheduled_for=EARLIER, status=status, **{**BASE, **values}
        )

    def status(self, name: str) -> str:
        """Return the status of a job before the event."""
        status: str = self.states.seen["app.scheduled_jobs"][self.ids[name]]["status"]
        return status

    def check(self, expected: dict[str, Row], event: str, gone: Collection[str] = ()) -> None:
        """Compare the changes of all tables with the expected columns of these jobs and the deleted workers."""
        rows = self.states.seen["app.scheduled_jobs"]
        differences = {self.ids[name]: differing(rows[self.ids[name]], **row) for name, row in expected.items()}
        for difference in differences.values():
            difference.pop("updated_at")  # jobs have none
        changed = self.states.changed()
        assert set(changed.pop("app.job_workers", {})) == set(gone), event
        assert changed == ({"app.scheduled_jobs": differences} if differences else {}), event


def requeued(reason: str, **values: object) -> Row:
    """Return the columns of a job that is pending again although its worker did not end it."""
    return {"status": "pending", "paced": False, "locked_by": None, "last_error": reason, **values}


async def finish(queue: AsyncEngine, worker: str, endings: Iterable[Ending]) -> None:
    """Record how jobs ended."""
    async with AsyncSession(queue) as session:
        await repository.finish_jobs(session, UUID(worker), NOW, list(endings))


ENDINGS: dict[str, tuple[Ending, Row]] = {
    "completed": (
        Ending(UUID(int=0), 2, JobStatus.COMPLETED),
        {"status": "completed", "last_error": None, "completed_at": moment(NOW), "locked_by": None},
    ),
    "failed": (
        Ending(UUID(int=0), 2, JobStatus.FAILED, error="no"),
        {"status": "failed", "last_error": "no", "completed_at": moment(NOW), "locked_by": None},
    ),
    "cancelled": (
        Ending(UUID(int=0), 2, JobStatus.CANCELLED, error="gone"),
        {"status": "cancelled", "last_error": "gone", "completed_at": moment(NOW), "locked_by": None},
    ),
    "tried again": (
        Ending(UUID(int=0), 2, JobStatus.PENDING, LATER, "later"),
        requeued("later", run_at=moment(LATER)),
    ),
    "put off": (
        Ending(UUID(int=0), 2, JobStatus.PENDING, LATER, "later", granted=1),
        requeued("later", run_at=moment(LATER), max_attempts=4),
    ),
}
"""How a worker ends a job in its second attempt, and what the job is then."""


@pytest.mark.parametrize("event", ENDINGS)
async def test_a_worker_ends_only_its_running_jobs(states: States, queue: AsyncEngine, event: str) -> None:
    """A result counts only for the worker and attempt of the running job; in every other state nothing changes."""
    made = Jobs(states)
    ending, row = ENDINGS[event]
    endings = [
        Ending(UUID(job_id), attempts, ending.status, ending.run_at, ending.error, ending.granted)
        for job_id in made.ids.values()
        for attempts in (1, 3)
    ]
    await finish(queue, made.worker, endings)
    made.check({}, f"{event} of another attempt")
    endings = [
        Ending(UUID(job_id), 2, ending.status, ending.run_at, ending.error, ending.granted)
        for job_id in made.ids.values()
    ]
    await finish(queue, made.worker, endings)
    made.check({"running": row}, event)
    await finish(queue, made.worker, endings)
    made.check({}, f"{event} once more")


@pytest.mark.parametrize("is_free", [True, False], ids=["freely", "in turn"])
async def test_only_due_pending_jobs_are_claimed(states: States, queue: AsyncEngine, *, is_free: bool) -> None:
    """A claim starts pending due jobs once, with one attempt more, and no running or ended ones."""
    made = Jobs(states)
    claim = repository.claim_without_rates if is_free else repository.claim_jobs
    for expected in ({"pending": {"status": "running", "attempts": 3}}, {}):
        async with AsyncSession(queue) as session:
            claimed = await claim(session, ClaimRequest(TYPE, UUID(made.worker), NOW, 10))
        assert [str(job.id) for job in claimed.jobs] == [made.ids[name] for name in expected]
        row = {"locked_by": made.worker, "started_at": moment(NOW)}
        made.check({name: {**values, **row} for name, values in expected.items()}, "claimed")


@pytest.mark.parametrize("is_verified", [False, True], ids=["retried", "verified"])
async def test_jobs_of_a_lost_worker_are_requeued(states: States, queue: AsyncEngine, *, is_verified: bool) -> None:
    """A job without a live worker is pending again, or fails if its attempts are used up and no run can verify it.

    Jobs of live workers, pending jobs and ended jobs do not change.
    """
    made = Jobs(states)
    lost = "The worker that ran this job was lost."
    failed = {"status": "failed", "paced": False, "last_error": lost, "completed_at": moment(NOW), "locked_by": None}
    verified = [TYPE] if is_verified else ["other"]
    expected = {
        "silent": requeued(lost),
        "without a worker": requeued(lost),
        "used up": requeued(lost) if is_verified else failed,
    }
    for rows in (expected, {}):
        async with AsyncSession(queue) as session:
            reaped = await jobs.requeue_lost_jobs(
                session, lost_after=LOST.total_seconds() / 2, now=NOW, verified=verified
            )
        assert sorted(row.status for row in reaped) == sorted(str(row["status"]) for row in rows.values())
        made.check(rows, "lost")


async def test_jobs_that_a_worker_leaves_are_released(states: States, queue: AsyncEngine) -> None:
    """A worker that retires, or does not know one of its jobs, releases its own jobs and no others."""
    made = Jobs(states)
    known = Jobs(states)
    reason = "The worker did not receive this job."
    async with AsyncSession(queue) as session:
        for job_type in ("other", TYPE):
            await jobs.release_unknown_claims(
                session, job_type=job_type, worker=UUID(made.worker), known=[UUID(known.ids["running"])], now=NOW
            )
    given = {"run_at": moment(NOW), "max_attempts": 4}
    made.check({"running": requeued(reason, **given)}, "unknown to its worker")
    async with AsyncSession(queue) as session:
        await jobs.release_unknown_claims(
            session, job_type=TYPE, worker=UUID(known.worker), known=[UUID(known.ids["running"])], now=NOW
        )
    known.check({}, "known to its worker")

    async with AsyncSession(queue) as session:
        await jobs.retire_worker(session, UUID(known.worker), NOW)
    stopped = requeued("The worker stopped before the job ended.", **given)
    known.check({"running": stopped}, "its worker stopped", gone=[known.worker])


def moved(event: str) -> Row:
    """Return the columns of a job after a change by a user."""
    if event == "cancelled":
        return {"status": "cancelled", "completed_at": moment(NOW)}
    return {"status": "pending", "run_at": moment(NOW), "paced": False, "max_attempts": 7, "completed_at": None}


@pytest.mark.parametrize(("action", "event"), [("cancel", "cancelled"), ("retry", "retried")])
async def test_users_cancel_and_retry_a_job(
    app_client: httpx.AsyncClient, states: States, action: str, event: str
) -> None:
    """A pending job is cancelled, and a failed or cancelled one is retried, with attempts that continue to count.

    Everything else is 409 and changes nothing.
    """
    made = Jobs(states)
    base = f"/api/workspaces/{states.workspace_id}/jobs"
    expected = {}
    for name, job_id in made.ids.items():
        is_legal = BY_PEOPLE[made.status(name), event] != REFUSED
        response = await app_client.post(f"{base}/{job_id}/{action}")
        assert response.status_code == (200 if is_legal else 409), name
        assert (await app_client.post(f"{base}/{job_id}/{action}")).status_code == 409, f"{name}, a second time"
        if is_legal:
            expected[name] = moved(event)
    made.check(expected, event)


async def test_retry_and_cancel_alternately(app_client: httpx.AsyncClient, states: States) -> None:
    """A job that was cancelled, retried and cancelled again is cancelled; each retry adds only the needed attempts."""
    made = Jobs(states)
    base = f"/api/workspaces/{states.workspace_id}/jobs/{made.ids['later']}"
    for action in ("cancel", "retry", "cancel"):
        assert (await app_client.post(f"{base}/{action}")).status_code == 200
    made.check({"later": {**moved("retried"), **moved("cancelled")}}, "cancelled again")
    assert (await app_client.post(f"{base}/retry")).json()["status"] == "pending"
    made.check({"later": {"status": "pending", "completed_at": None}}, "retried again")


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
async def test_a_bulk_retry_changes_one_status(states: States, status: JobStatus) -> None:
    """A bulk retry changes only jobs of the given status, like single retries."""
    made = Jobs(states)
    for expected in ({status.value: moved("retried")}, {}):
        async with states.session() as session:
            filters = JobFilter(job_type=TYPE, status=status, since=None, until=None)
            counts = await service.retry_jobs(session, UUID(states.workspace_id), filters, NOW)
        assert counts == (len(expected), 0)
        made.check(expected, "retried in bulk")


async def test_a_deleted_workspace_cancels_pending_jobs(states: States) -> None:
    """The deletion of a workspace cancels each job that has not started; running jobs stay with their worker."""
    made = Jobs(states)
    for _ in range(2):
        async with states.session() as session:
            await workspaces.cancel_jobs(session, UUID(states.workspace_id), NOW, "It was deleted.")
    row = {"status": "cancelled", "completed_at": moment(NOW), "last_error": "It was deleted."}
    made.check({"pending": row, "later": row}, "workspace deleted")
