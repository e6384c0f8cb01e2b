"""What the service of sending decides between its statements: who is first, who probes, what follows and when."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.sending import service
from api.delivery.sending.eligibility import Deferred, Denied
from api.delivery.sending.repository import ClaimRun
from api.delivery.sending.service import Acceptance, Claim, Confirmation, SendRequest
from domain.breaker import PROBE_LEASE
from domain.job import OPEN_STATUSES, JobStatus
from domain.job_types import GENERATE_DRAFT, RECONCILE_SEND, SEND_EMAIL
from tests.blocking import Blocking
from tests.comparing import compared
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

DRAFTS, ENROLLMENTS, LEADS, SLOTS = "app.email_drafts", "app.lead_enrollments", "app.leads", "app.send_slots"
CONNECTIONS, JOBS = "app.everlytic_connections", "app.scheduled_jobs"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def workspaces(two_workspaces: TwoWorkspaces) -> TwoWorkspaces:
    """Two workspaces, that of the test with an active sequence and nothing that was sent."""
    for table in ("app.send_attempts", JOBS, SLOTS):
        two_workspaces.owner.execute(f"DELETE FROM {table} WHERE workspace_id = %s".encode(), [two_workspaces.id])
    two_workspaces.set("app.sequences", two_workspaces.ids["app.sequences"], status="Active")
    return two_workspaces


def enrollments_of(workspaces: TwoWorkspaces, draft_ids: Iterable[UUID]) -> list[UUID]:
    """Return the enrollments of drafts."""
    query = "SELECT enrollment_id FROM app.email_drafts WHERE id = ANY(%s)"
    return [row[0] for row in workspaces.owner.execute(query, [list(draft_ids)])]


async def claim(workspaces: TwoWorkspaces, *draft_ids: UUID) -> list[Any]:
    """Let jobs ask for drafts in this order; returns what each is answered."""
    requests = [SendRequest(draft_id, NOW, uuid4()) for draft_id in draft_ids]
    return (await compared(workspaces, lambda session: service.claim_drafts(session, workspaces.id, requests))).result


async def test_who_comes_first_is_served_first(workspaces: TwoWorkspaces) -> None:
    """Of drafts for which there is one place today the one asked for first gets it, not the one with the lower id."""
    workspaces.set("app.workspaces", workspaces.id, daily_cap=1)
    low, high = sorted(workspaces.add_draft(status="reviewed") for _ in range(2))
    missing = UUID(int=1)
    first, second, unknown = await claim(workspaces, high, low, missing)
    assert isinstance(first, Claim)
    assert isinstance(second, Deferred)
    assert (first.candidate.draft.id, second.reason) == (high, "deferred by daily_cap")
    assert unknown == Denied("there is no such draft")


@pytest.mark.parametrize("reason", [None, "the quota is used up"])
async def test_one_mail_probes_and_the_others_wait(workspaces: TwoWorkspaces, reason: str | None) -> None:
    """After a block a single mail goes out; the others wait until its call may have ended, in reserved slots."""
    values = {"failures": 6, "blocked_until": NOW - MINUTE, "blocked_reason": reason}
    workspaces.set(CONNECTIONS, workspaces.ids[CONNECTIONS], **values)
    workspaces.set("app.workspaces", workspaces.id, sends_per_minute=600)
    ids = [workspaces.add_draft(status="reviewed") for _ in range(3)]
    probe, *others = await claim(workspaces, *ids)
    assert isinstance(probe, Claim)
    until = NOW + PROBE_LEASE
    assert others == [Deferred(until, reason or "Everlytic did not accept the last mails")] * 2
    slots = workspaces.owner.execute(
        "SELECT draft_id, at, is_used FROM app.send_slots WHERE workspace_id = %s", [workspaces.id]
    )
    assert sorted(slots) == sorted([(ids[0], NOW, True), (ids[1], until, False), (ids[2], until, False)])


async def test_a_connection_that_serves_lets_all_through(workspaces: TwoWorkspaces) -> None:
    """Without a block all are claimed; without a connection, or with none free, no probe is sent."""
    ids = [workspaces.add_draft(status="reviewed") for _ in range(2)]
    assert [type(answer) for answer in await claim(workspaces, *ids)] == [Claim, Claim]
    workspaces.set(CONNECTIONS, workspaces.ids[CONNECTIONS], failures=6, blocked_until=NOW)
    assert await claim(workspaces, *ids) == [Denied("the mail is being sent")] * 2
    query = "SELECT blocked_until FROM app.everlytic_connections WHERE id = %s"
    assert workspaces.owner.execute(query, [workspaces.ids[CONNECTIONS]]).fetchall() == [(NOW,)]
    workspaces.owner.execute("DELETE FROM app.everlytic_connections")
    draft_id = workspaces.add_draft(status="reviewed")
    assert await claim(workspaces, draft_id) == [Denied("the workspace has no Everlytic connection")]


def start_run(workspaces: TwoWorkspaces, draft_id: UUID) -> ClaimRun:
    """Add the claim of a draft and its job, in its second run."""
    job_id = workspaces.add(JOBS, job_type=SEND_EMAIL, status="running", attempts=2)
    workspaces.add("app.send_attempts", draft_id=draft_id, job_id=job_id, outcome="claimed")
    return ClaimRun(draft_id, job_id, 2)


async def test_only_the_run_that_claimed_a_mail_may_send_it(workspaces: TwoWorkspaces) -> None:
    """A claim counts for its job in this run only: not the run before or after, another job, or a job that ended."""
    claimed = [start_run(workspaces, workspaces.add_draft(status="reviewed")) for _ in range(7)]
    workspaces.set(JOBS, claimed[1].job_id, attempts=1)
    workspaces.set(JOBS, claimed[2].job_id, attempts=3)
    workspaces.set(JOBS, claimed[3].job_id, status="pending")
    for run, change in ((claimed[4], "job_id = gen_random_uuid()"), (claimed[5], "outcome = 'unknown'")):
        query = f"UPDATE app.send_attempts SET {change} WHERE draft_id = %s"
        workspaces.owner.execute(query.encode(), [run.draft_id])
    workspaces.owner.execute("DELETE FROM app.send_attempts WHERE draft_id = %s", [claimed[6].draft_id])

    async def confirm(session: AsyncSession) -> list[Confirmation]:
        return await service.confirm_claims(session, workspaces.id, claimed)

    answers = (await compared(workspaces, confirm)).result
    assert [answer.stop_reason for answer in answers] == [None, *[service.CLAIM_TAKEN_OVER] * 6]


async def test_each_claimed_mail_is_confirmed(workspaces: TwoWorkspaces) -> None:
    """Each draft is answered in the order asked: what stopped it, and until when its connection is blocked."""
    workspaces.set(CONNECTIONS, workspaces.ids[CONNECTIONS], blocked_until=NOW)
    free, paused = (workspaces.add_draft(status="reviewed") for _ in range(2))
    runs = [start_run(workspaces, draft_id) for draft_id in (paused, free)]
    workspaces.owner.execute(
        "UPDATE app.lead_enrollments SET status = 'paused'"
        " FROM app.email_drafts AS draft WHERE draft.id = %s AND draft.enrollment_id = lead_enrollments.id",
        [paused],
    )

    async def confirm(session: AsyncSession) -> list[Confirmation]:
        return await service.confirm_claims(session, workspaces.id, runs)

    answers = (await compared(workspaces, confirm)).result
    assert [answer.stop_reason for answer in answers] == ["the enrollment is paused", None]
    assert [answer.blocked_until for answer in answers] == [NOW, NOW]
    workspaces.set("app.workspaces", workspaces.id, deleted_at=NOW)
    answers = (await compared(workspaces, confirm)).result
    assert [(answer.stop_reason, answer.blocked_until) for answer in answers] == [
        ("its workspace was deleted", None)
    ] * 2


async def test_an_unknown_send_is_looked_up_eight_times_at_most(workspaces: TwoWorkspaces) -> None:
    """The job that looks a send up may fail seven times, and is due when the caller says."""
    draft_id, at = workspaces.add_draft(status="reviewed"), NOW + MINUTE
    workspaces.add("app.send_attempts", draft_id=draft_id)
    done = await compared(
        workspaces, lambda session: service.record_unknown_outcome(session, workspaces.id, draft_id, "no answer", at)
    )
    (job,) = done.changes[JOBS].values()
    assert (job["job_type"][1], job["max_attempts"][1]) == (RECONCILE_SEND, 8)
    assert datetime.fromisoformat(job["run_at"][1]) == at


async def test_a_delay_counts_from_when_the_step_before_left(workspaces: TwoWorkspaces) -> None:
    """What a pause held is set on from when its last mail was sent, not from when it is resumed; each by itself."""
    step_id = workspaces.add("app.sequence_steps", step_order=2, delay_days=2)
    workspaces.set("app.sequence_steps", workspaces.ids["app.sequence_steps"], step_order=1)
    drafts = [workspaces.add_draft(status="sent", sent_at=NOW - DAY) for _ in range(2)]
    ids = enrollments_of(workspaces, drafts)

    async def resume(session: AsyncSession) -> None:
        await service.requeue_waiting_work(session, workspaces.id, sequence_id=None, enrollment_ids=ids, now=NOW)

    done = await compared(workspaces, resume)
    added = done.changes[DRAFTS].values()
    assert sorted(row["enrollment_id"][1] for row in added) == sorted(map(str, ids))
    assert {(row["step_id"][1], datetime.fromisoformat(row["send_at"][1])) for row in added} == {
        (str(step_id), NOW + DAY)
    }
    assert done.rows[ENROLLMENTS] == set(ids)
    assert (await compared(workspaces, resume)).changes == {}


async def test_what_a_pause_left_is_queued_unless_a_job_will_do_it(workspaces: TwoWorkspaces) -> None:
    """A text to send is queued unless a job waits for it, one to write unless a job waits for it or writes it.

    A send that runs may have met the pause and end without sending; a writer does not look at pauses.
    """
    waiting = {"reviewed": (SEND_EMAIL, {JobStatus.PENDING}), "pending": (GENERATE_DRAFT, OPEN_STATUSES)}
    drafts = {
        (status, job_status): workspaces.add_draft(status=status) for status in waiting for job_status in JobStatus
    }
    for (status, job_status), draft_id in drafts.items():
        payload = Jsonb({"draftId": str(draft_id)})
        workspaces.add(JOBS, job_type=waiting[status][0], status=job_status, payload=payload, run_at=NOW)

    async def resume(session: AsyncSession) -> None:
        ids = enrollments_of(workspaces, drafts.values())
        await service.requeue_waiting_work(session, workspaces.id, sequence_id=None, enrollment_ids=ids, now=NOW)

    done = await compared(workspaces, resume)
    queued = {(row["job_type"][1], row["payload"][1]["draftId"]) for row in done.changes[JOBS].values()}
    assert queued == {
        (waiting[status][0], str(draft_id))
        for (status, job_status), draft_id in drafts.items()
        if job_status not in waiting[status][1]
    }
    assert done.rows == {JOBS: done.rows[JOBS]}
    assert (await compared(workspaces, resume)).changes == {}


async def accept(session: AsyncSession, blocking: Blocking) -> None:
    """Record a mail that was recorded before."""
    await service.record_acceptances(session, blocking.workspace_id, [Acceptance(blocking.ids[DRAFTS], "tx", NOW)])


async def forbid(session: AsyncSession, blocking: Blocking) -> None:
    """Look whether a mail is forbidden that is not."""
    await service.block_drafts(session, blocking.workspace_id, [SendRequest(blocking.ids[DRAFTS], NOW, uuid4())])


async def resume(session: AsyncSession, blocking: Blocking) -> None:
    """Take an enrollment up of which all was sent."""
    ids = [blocking.ids[ENROLLMENTS]]
    await service.requeue_waiting_work(session, blocking.workspace_id, sequence_id=None, enrollment_ids=ids, now=NOW)


@pytest.mark.parametrize("call", [accept, forbid, resume], ids=lambda call: call.__name__)
async def test_what_records_locks_to_change(
    blocking: Blocking, call: Callable[[AsyncSession, Blocking], Awaitable[None]]
) -> None:
    """Recording, forbidding and resuming lock the lead against every change, also where nothing is to be changed."""
    blocking.run("UPDATE app.leads SET deleted_at = NULL, erased_at = NULL, status = 'Contacted'")
    blocking.run("DELETE FROM app.suppressions")
    blocking.run("UPDATE app.send_attempts SET outcome = 'accepted'")
    blocking.run("UPDATE app.email_drafts SET status = 'sent', sent_at = now()")
    async with blocking.kept_open(lambda session: call(session, blocking)):
        assert blocking.modes(LEADS, [blocking.ids[LEADS]]) == ["NO KEY UPDATE"]
