"""When a push is waited for already, beside jobs that differ from the one that waits in one condition."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.events import repository, service
from api.delivery.events import repository as events
from api.delivery.events.repository import Delivery
from domain.job_types import APPLY_PROVIDER_EVENTS
from tests.blocking import Blocking
from tests.comparing import compared
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

DELIVERIES, JOBS = "everlytic.webhook_deliveries", "app.scheduled_jobs"
TICK = timedelta(microseconds=1)


async def test_only_a_pending_job_that_is_due_waits_for_a_push(two_workspaces: TwoWorkspaces) -> None:
    """A push is waited for by a pending job of its type that is due by then: none that runs, is later or of another."""
    workspaces = two_workspaces
    due = {"job_type": APPLY_PROVIDER_EVENTS, "status": "pending", "run_at": NOW}
    workspaces.add(JOBS, workspaces.neighbour, **due)
    for values in ({"job_type": "send_email"}, {"status": "running"}, {"status": "failed"}, {"run_at": NOW + TICK}):
        workspaces.add(JOBS, **{**due, **values})
    push = Delivery("text/plain", b"body", NOW)

    async def store(session: AsyncSession) -> bool:
        return await repository.store_deliveries(
            session, workspaces.id, [push], job_type=APPLY_PROVIDER_EVENTS, now=NOW
        )

    acted = await compared(workspaces, store)
    assert acted.result is False
    assert set(acted.changes) == {DELIVERIES}
    workspaces.add(JOBS, **due)
    assert (await compared(workspaces, store)).result is True


async def test_pushes_have_one_job_at_the_time_of_the_last(two_workspaces: TwoWorkspaces) -> None:
    """Pushes that come together are stored as they came, and applied by one job that is due when the last came."""
    workspaces = two_workspaces
    workspaces.owner.execute("DELETE FROM app.scheduled_jobs")
    pushes = [Delivery("", b"%d" % number, NOW + number * TICK) for number in range(3)]

    async def store(session: AsyncSession) -> list[None]:
        return await service.store_deliveries(session, workspaces.id, pushes)

    acted = await compared(workspaces, store)
    assert acted.result == [None] * 3
    bodies = [row["body"][1] for row in acted.changes[DELIVERIES].values()]
    assert sorted(bodies) == [r"\x30", r"\x31", r"\x32"]
    (job,) = acted.changes[JOBS].values()
    assert (job["job_type"][1], job["run_at"][1]) == (APPLY_PROVIDER_EVENTS, "2026-03-04T10:00:00.000002+00:00")
    assert set((await compared(workspaces, store)).changes) == {DELIVERIES}


async def test_a_push_looks_for_its_job_once_it_holds_the_intake(blocking: Blocking) -> None:
    """A push that waits while its job begins, which may have looked for pushes already, gets a job of its own."""
    blocking.run("DELETE FROM app.scheduled_jobs")
    blocking.add(JOBS, job_type=APPLY_PROVIDER_EVENTS, status="pending", run_at=NOW)
    pushes = [Delivery("text/plain", b"body", NOW)]
    async with blocking.kept_open(
        lambda session: events.lock_intake_exclusive(session, blocking.workspace_id)
    ) as looking:
        storing = await blocking.start_waiting(
            lambda session: service.store_deliveries(session, blocking.workspace_id, pushes), looking.pid
        )
        blocking.run("UPDATE app.scheduled_jobs SET status = 'running'")
    await storing
    assert sorted(blocking.run("SELECT status FROM app.scheduled_jobs")) == [("pending",), ("running",)]
