from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import repository
from database.models import EverlyticConnection
from domain.job import JobStatus
from tests.overtaking import overtaken, rows_in_each, setting
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

JOBS, CONNECTIONS, SLOTS = "app.scheduled_jobs", "app.everlytic_connections", "app.send_slots"
TICK, HOUR = timedelta(microseconds=1), timedelta(hours=1)


def add_job(workspaces: TwoWorkspaces, **values: Any) -> UUID:
    """Insert a job that sends a mail."""
    return workspaces.add(JOBS, **{"job_type": "send_email", **values})


@pytest.mark.fences("api.accounts.workspaces.repository:cancel_jobs")
async def test_only_pending_jobs_are_cancelled(two_workspaces: TwoWorkspaces) -> None:
    """Jobs of a deleted workspace are cancelled where they wait still, and not where they were moved meanwhile."""
    moved, pending = rows_in_each(
        lambda **values: add_job(two_workspaces, **values), "status", {JobStatus.PENDING}, JobStatus
    )
    overtaking = await overtaken(
        two_workspaces,
        setting(JOBS, moved),
        lambda session: repository.cancel_jobs(session, two_workspaces.id, NOW, "deleted"),
    )
    assert overtaking.rows == {JOBS: {*pending, two_workspaces.ids[JOBS]}}


@pytest.mark.fences("api.accounts.workspaces.repository:_REQUEUE_SENDS")
async def test_only_deferred_sends_are_requeued(two_workspaces: TwoWorkspaces) -> None:
    """Pending sends that were deferred are due now and lose reserved slots; nothing else, and nothing moved."""
    workspaces = two_workspaces

    def add_deferred(**values: Any) -> UUID:
        times = {"scheduled_for": NOW - HOUR, "run_at": NOW + HOUR, "paced": True}
        return add_job(workspaces, **{**times, **values})

    moved, pending = rows_in_each(add_deferred, "status", {JobStatus.PENDING}, JobStatus)
    due = add_deferred()
    rescheduled = add_deferred()
    pending.add(add_deferred(run_at=NOW + TICK))
    add_deferred(job_type="other")
    slots = {name: workspaces.add_draft() for name in ("overtaken", "reserved", "used")}
    for name, draft_id in slots.items():
        workspaces.owner.execute(
            "INSERT INTO app.send_slots (workspace_id, draft_id, domain, at, is_used) VALUES (%s, %s, 'x', %s, %s)",
            [workspaces.id, draft_id, NOW, name == "used"],
        )

    def overtake(other: psycopg.Connection) -> None:
        changed = {**moved, due: {"run_at": NOW}, rescheduled: {"scheduled_for": NOW + HOUR}}
        setting(JOBS, changed)(other)
        other.execute("UPDATE app.send_slots SET is_used = true WHERE draft_id = %s", [slots["overtaken"]])

    overtaking = await overtaken(
        workspaces, overtake, lambda session: repository.requeue_sends(session, workspaces.id, NOW)
    )
    # The slot that the workspace has from the start is reserved too.
    assert overtaking.rows == {JOBS: pending, SLOTS: {slots["reserved"], workspaces.ids["app.email_drafts"]}}


@pytest.mark.fences("api.accounts.workspaces.repository:wake_sends")
async def test_only_sends_that_wait_for_the_moment_are_woken(two_workspaces: TwoWorkspaces) -> None:
    """Pending sends that wait for a moment go on now; not those moved meanwhile, nor those of a microsecond beside."""
    until = NOW + HOUR

    def add_waiting(**values: Any) -> UUID:
        return add_job(two_workspaces, **{"run_at": until, **values})

    moved, pending = rows_in_each(add_waiting, "status", {JobStatus.PENDING}, JobStatus)
    moments = {add_waiting(): {"run_at": until + tick} for tick in (TICK, -TICK)}
    add_waiting(job_type="other")
    two_workspaces.add(JOBS, two_workspaces.neighbour, job_type="send_email", run_at=until)
    overtaking = await overtaken(
        two_workspaces,
        setting(JOBS, {**moved, **moments}),
        lambda session: repository.wake_sends(session, two_workspaces.id, until, NOW),
    )
    assert overtaking.rows == {JOBS: pending}


@pytest.mark.fences("api.accounts.workspaces.repository:disable_connection")
@pytest.mark.parametrize("is_disabled", [False, True])
async def test_a_connection_is_disabled_once(two_workspaces: TwoWorkspaces, *, is_disabled: bool) -> None:
    """A connection that was disabled meanwhile keeps its time and reason; another is disabled."""
    connection_id = two_workspaces.ids[CONNECTIONS]
    values = {"disabled_at": NOW, "disabled_reason": "first"} if is_disabled else {"failures": 1}
    overtaking = await overtaken(
        two_workspaces,
        setting(CONNECTIONS, {connection_id: values}),
        lambda session: repository.disable_connection(session, two_workspaces.id, "second"),
    )
    assert overtaking.rows == ({} if is_disabled else {CONNECTIONS: {connection_id}})


@pytest.mark.fences("api.accounts.workspaces.repository:refuse_connection")
@pytest.mark.parametrize(
    ("values", "is_refused"),
    [
        ({"failures": 1}, True),
        ({"encrypted_key": "another"}, False),
        ({"disabled_at": NOW, "disabled_reason": "first"}, False),
    ],
)
async def test_only_the_credentials_that_were_refused_are_disabled(
    two_workspaces: TwoWorkspaces, values: dict[str, Any], *, is_refused: bool
) -> None:
    """A connection is disabled while it has the credentials that were refused, and keeps an earlier reason."""
    connection_id = two_workspaces.ids[CONNECTIONS]
    two_workspaces.set(CONNECTIONS, connection_id, encrypted_key="refused")
    overtaking = await overtaken(
        two_workspaces,
        setting(CONNECTIONS, {connection_id: values}),
        lambda session: repository.refuse_connection(session, two_workspaces.id, "refused", "second"),
    )
    assert overtaking.rows == ({CONNECTIONS: {connection_id}} if is_refused else {})


@pytest.mark.fences("api.accounts.workspaces.repository:lock_for_probe")
@pytest.mark.parametrize(
    ("before", "after"), [(None, None), (None, NOW), (NOW, NOW), (NOW, None), (NOW, NOW + TICK), (NOW, NOW - TICK)]
)
async def test_one_of_those_who_saw_a_block_probes(two_workspaces: TwoWorkspaces, before: Any, after: Any) -> None:
    """A connection is held for a probe while its block is the one that was read; otherwise it is read again."""
    connection_id, until = two_workspaces.ids[CONNECTIONS], NOW + HOUR
    two_workspaces.set(CONNECTIONS, connection_id, blocked_until=before)
    connections: list[EverlyticConnection] = []

    async def read(session: AsyncSession) -> None:
        connection = await repository.find_connection(session, two_workspaces.id)
        assert connection is not None
        connections.append(connection)

    overtaking = await overtaken(
        two_workspaces,
        setting(CONNECTIONS, {connection_id: {"blocked_until": after, "failures": 1}}),
        lambda session: repository.lock_for_probe(session, connections[0], until),
        decide=read,
    )
    is_held = before == after
    assert overtaking.result is is_held
    assert connections[0].blocked_until == (until if is_held else after)
    assert overtaking.rows == ({CONNECTIONS: {connection_id}} if is_held else {})
