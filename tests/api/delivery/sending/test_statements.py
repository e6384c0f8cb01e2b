"""Each statement of sending beside rows that differ from its own in one condition."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.sending import repository
from api.delivery.sending.eligibility import SendState
from api.delivery.sending.repository import NextStep
from database.models import EmailDraft, JobStatus, SendOutcome, SequenceStep
from domain.draft import DraftStatus
from tests.blocking import Blocking
from tests.comparing import compared
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

DRAFTS, ENROLLMENTS, ATTEMPTS = "app.email_drafts", "app.lead_enrollments", "app.send_attempts"
SEND, OTHER_TYPE = "send_email", "generate_draft"


@dataclass(frozen=True, slots=True)
class Mail:
    """A draft with a lead, a sequence of one step and an enrollment that no other draft has."""

    lead_id: UUID
    sequence_id: UUID
    step_id: UUID
    enrollment_id: UUID
    draft_id: UUID


def add_mail(
    workspaces: TwoWorkspaces,
    status: str = "reviewed",
    *,
    lead: dict[str, Any] | None = None,
    sequence: dict[str, Any] | None = None,
    enrollment: dict[str, Any] | None = None,
    **draft: Any,
) -> Mail:
    """Insert a mail of its own; the values given replace invented ones."""
    lead_id = workspaces.add("app.leads", **lead or {})
    sequence_id = workspaces.add("app.sequences", **{"status": "Active", **(sequence or {})})
    step_id = workspaces.add("app.sequence_steps", sequence_id=sequence_id)
    enrollment_id = workspaces.add(ENROLLMENTS, lead_id=lead_id, sequence_id=sequence_id, **enrollment or {})
    owners: dict[str, Any] = {
        "lead_id": lead_id,
        "sequence_id": sequence_id,
        "step_id": step_id,
        "enrollment_id": enrollment_id,
    }
    return Mail(lead_id, sequence_id, step_id, enrollment_id, workspaces.add(DRAFTS, status=status, **owners, **draft))


def add_step(workspaces: TwoWorkspaces, mail: Mail, status: str = "reviewed", **values: Any) -> UUID:
    """Insert a further step of a mail's sequence and its draft; returns the draft."""
    step_id = workspaces.add("app.sequence_steps", sequence_id=mail.sequence_id, step_order=2)
    owners: dict[str, Any] = {
        "lead_id": mail.lead_id,
        "sequence_id": mail.sequence_id,
        "enrollment_id": mail.enrollment_id,
    }
    return workspaces.add(DRAFTS, step_id=step_id, step_order=2, status=status, **owners, **values)


def add_job(workspaces: TwoWorkspaces, draft_id: UUID, status: str = "pending", job_type: str = SEND) -> UUID:
    """Insert a job about a draft."""
    payload = Jsonb({"draftId": str(draft_id)})
    return workspaces.add("app.scheduled_jobs", job_type=job_type, status=status, payload=payload)


async def test_a_draft_is_read_with_its_own_rows(two_workspaces: TwoWorkspaces) -> None:
    """Each draft that is asked for comes once, with its own lead, enrollment, sequence and attempt, and no other."""
    first, second, _other = (add_mail(two_workspaces) for _ in range(3))
    job_ids = {mail.draft_id: uuid4() for mail in (first, second)}
    outcomes = {first.draft_id: SendOutcome.UNKNOWN, second.draft_id: SendOutcome.REJECTED}
    for draft_id, outcome in outcomes.items():
        two_workspaces.add(ATTEMPTS, draft_id=draft_id, job_id=job_ids[draft_id], outcome=outcome)

    read = await compared(
        two_workspaces,
        lambda session: repository.list_candidates(session, two_workspaces.id, [second.draft_id, first.draft_id]),
    )

    assert [
        (it.draft.id, it.lead.id, it.enrollment.id, it.sequence.id, it.outcome, it.claimed_by) for it in read.result
    ] == [
        (it.draft_id, it.lead_id, it.enrollment_id, it.sequence_id, outcomes[it.draft_id], job_ids[it.draft_id])
        for it in sorted((first, second), key=lambda mail: mail.draft_id)
    ]  # fmt: skip
    assert read.changes == {}


async def test_what_stands_is_read_of_each_draft(two_workspaces: TwoWorkspaces) -> None:
    """What may forbid a draft is that of its own enrollment, sequence and lead; of a deleted workspace none is read."""
    workspaces = two_workspaces
    paused = add_mail(workspaces, enrollment={"status": "paused"})
    stopped = add_mail(workspaces, sequence={"status": "Paused", "pause_reason": "bounces"})
    gone = add_mail(workspaces, sequence={"deleted_at": NOW}, lead={"status": "Unsubscribed"})
    add_mail(workspaces)
    ids = [mail.draft_id for mail in (paused, stopped, gone)]

    async def read(session: AsyncSession) -> dict[UUID, tuple[Any, Any]]:
        standing = await repository.get_send_states(session, workspaces.id, ids)
        return {
            draft_id: (its, connection.workspace_id) for draft_id, (its, connection) in standing.items() if connection
        }

    found = (await compared(workspaces, read)).result
    unsubscribed = "the lead has unsubscribed"
    assert found == {
        paused.draft_id: (SendState("paused", "Active", None, None, None), workspaces.id),
        stopped.draft_id: (SendState("active", "Paused", None, "bounces", None), workspaces.id),
        gone.draft_id: (SendState("active", "Active", NOW, None, unsubscribed), workspaces.id),
    }
    workspaces.set("app.workspaces", workspaces.id, deleted_at=NOW)
    assert (await compared(workspaces, read)).result == {}


async def test_the_last_draft_is_that_of_the_enrollment(two_workspaces: TwoWorkspaces) -> None:
    """An enrollment has come to its newest draft, whatever others have; one without drafts has come to none."""
    mail = add_mail(two_workspaces, "sent")
    newest = add_step(two_workspaces, mail)
    other = add_mail(two_workspaces)
    without = two_workspaces.add_enrollment()

    async def read(session: AsyncSession) -> list[UUID | None]:
        ids = (mail.enrollment_id, other.enrollment_id, without)
        last = [
            await repository.find_last_candidate(session, two_workspaces.id, enrollment_id) for enrollment_id in ids
        ]
        return [candidate.draft.id if candidate else None for candidate in last]

    assert (await compared(two_workspaces, read)).result == [newest, other.draft_id, None]


async def test_only_the_enrollments_given_wait_for_their_next_step(two_workspaces: TwoWorkspaces) -> None:
    """Each enrollment gets its own next step, time and draft; a draft of that step that is there is left alone."""
    workspaces = two_workspaces
    mails = [add_mail(workspaces, "sent") for _ in range(3)]
    steps = [
        workspaces.add("app.sequence_steps", sequence_id=mail.sequence_id, step_order=order)
        for mail, order in zip(mails, (2, 3, 2), strict=True)
    ]
    times = [NOW + timedelta(hours=hours) for hours in (1, 2, 3)]
    owners: dict[str, Any] = {
        "lead_id": mails[2].lead_id,
        "sequence_id": mails[2].sequence_id,
        "enrollment_id": mails[2].enrollment_id,
    }
    workspaces.add(DRAFTS, step_id=steps[2], **owners)
    add_mail(workspaces, "sent")  # whose enrollment gets no next step

    async def schedule(session: AsyncSession) -> Sequence[UUID]:
        following = [
            NextStep(await session.get_one(EmailDraft, mail.draft_id), await session.get_one(SequenceStep, step_id), at)
            for mail, step_id, at in zip(mails, steps, times, strict=True)
        ]
        return await repository.schedule_next_steps(session, workspaces.id, following)

    done = await compared(workspaces, schedule)
    assert done.rows == {ENROLLMENTS: {mail.enrollment_id for mail in mails}, DRAFTS: set(done.result)}
    moved = done.changes[ENROLLMENTS]
    assert [moved[str(mail.enrollment_id)].get("current_step_order", (0, 0))[1] for mail in mails] == [2, 3, 2]
    assert [datetime.fromisoformat(moved[str(mail.enrollment_id)]["next_run_at"][1]) for mail in mails] == times
    made = [(row["enrollment_id"][1], row["step_id"][1], row["status"][1]) for row in done.changes[DRAFTS].values()]
    assert sorted(made) == sorted(
        (str(mail.enrollment_id), str(step_id), "pending") for mail, step_id in zip(mails[:2], steps[:2], strict=True)
    )


async def test_only_the_draft_itself_is_noted(two_workspaces: TwoWorkspaces) -> None:
    """A remark is written on its draft alone."""
    mail, _other = add_mail(two_workspaces), add_mail(two_workspaces)
    noted = await compared(
        two_workspaces, lambda session: repository.set_error_reason(session, mail.draft_id, "unknown")
    )
    assert noted.rows == {DRAFTS: {mail.draft_id}}


async def test_drafts_and_steps_are_read_of_those_given(two_workspaces: TwoWorkspaces) -> None:
    """Drafts, the last time something was sent, and steps are those of the enrollments and sequences asked for."""
    early, late = NOW - timedelta(days=2), NOW - timedelta(days=1)
    mail = add_mail(two_workspaces, "sent", sent_at=late)
    second = add_step(two_workspaces, mail, "sent", sent_at=early)
    add_mail(two_workspaces, "sent", sent_at=NOW)

    async def read(session: AsyncSession) -> tuple[Any, Any, Any]:
        drafts = await repository.list_drafts(session, two_workspaces.id, [mail.enrollment_id])
        steps = await repository.list_steps(session, {mail.sequence_id})
        return drafts, await repository.find_last_sent_at(session, mail.enrollment_id), [step.id for step in steps]

    (drafts, sent_at, steps) = (await compared(two_workspaces, read)).result
    step_id = two_workspaces.owner.execute("SELECT step_id FROM app.email_drafts WHERE id = %s", [second]).fetchone()
    assert step_id is not None
    assert set(drafts) == {(mail.enrollment_id, step, DraftStatus.SENT) for step in (mail.step_id, *step_id)}
    assert (sent_at, steps) == (late, [mail.step_id, *step_id])


async def test_drafts_wait_that_nothing_sends(two_workspaces: TwoWorkspaces) -> None:
    """A draft waits in its status, of an active enrollment, without an attempt and without an open job about it."""
    workspaces = two_workspaces
    waiting = add_mail(workspaces)
    add_mail(workspaces, "drafted")
    add_mail(workspaces, enrollment={"status": "paused"})
    workspaces.add(ATTEMPTS, draft_id=add_mail(workspaces).draft_id)
    add_job(workspaces, add_mail(workspaces).draft_id)
    # Jobs that are no reason to leave a draft out: about another, ended, of another type.
    other_type, ended = add_mail(workspaces), add_mail(workspaces)
    add_job(workspaces, other_type.draft_id, job_type=OTHER_TYPE)
    add_job(workspaces, ended.draft_id, "cancelled")

    async def read(session: AsyncSession, **of: Any) -> set[UUID]:
        of = {"sequence_id": None, "enrollment_ids": None} | of
        found = await repository.list_waiting_drafts(
            session, workspaces.id, DraftStatus.REVIEWED, SEND, job_statuses={JobStatus.PENDING}, **of
        )
        assert len(found) == len(set(found))
        return set(found)

    async def read_each(session: AsyncSession) -> list[set[UUID]]:
        return [
            await read(session),
            await read(session, sequence_id=waiting.sequence_id),
            await read(session, enrollment_ids=[waiting.enrollment_id, ended.enrollment_id]),
        ]

    all_, of_sequence, of_enrollments = (await compared(workspaces, read_each)).result
    assert all_ == {waiting.draft_id, other_type.draft_id, ended.draft_id}
    assert of_sequence == {waiting.draft_id}
    assert of_enrollments == {waiting.draft_id, ended.draft_id}


async def test_an_enrollment_is_idle_after_its_last_draft_was_sent(two_workspaces: TwoWorkspaces) -> None:
    """Of active enrollments that are asked for the newest draft counts: it was sent, or the enrollment is not idle."""
    workspaces = two_workspaces
    idle, busy = add_mail(workspaces, "sent"), add_mail(workspaces, "sent")
    last = add_step(workspaces, idle, "sent")
    add_step(workspaces, busy)
    failed_first = add_mail(workspaces, "failed")
    last_of_failed = add_step(workspaces, failed_first, "sent")
    paused = add_mail(workspaces, "sent", enrollment={"status": "paused"})
    add_mail(workspaces, "sent")  # which is not asked for
    ids = [mail.enrollment_id for mail in (idle, busy, failed_first, paused)]

    found = await compared(workspaces, lambda session: repository.list_idle_drafts(session, workspaces.id, ids))

    assert sorted(found.result) == sorted([last, last_of_failed])


@pytest.mark.parametrize("lock_rows", [repository.lock_to_claim, repository.lock_candidates])
async def test_only_the_rows_of_the_drafts_are_locked(blocking: Blocking, lock_rows: Any) -> None:
    """A send leaves the lead, the enrollment and the sequence of another draft free, and the draft itself."""
    pairs = blocking.add_lower_mail()
    tables = ("app.leads", ENROLLMENTS, "app.sequences", DRAFTS)

    async with blocking.kept_open(lambda session: lock_rows(session, blocking.workspace_id, [pairs[DRAFTS][0]])):
        assert [blocking.modes(table, pairs[table])[1] for table in tables] == [None] * 4


async def test_only_the_sequences_given_are_locked(blocking: Blocking) -> None:
    """Choosing the next step of one sequence leaves another free."""
    low, high = blocking.add_lower("app.sequences")
    async with blocking.kept_open(lambda session: repository.lock_sequences(session, blocking.workspace_id, [low])):
        assert blocking.modes("app.sequences", [low, high]) == ["SHARE", None]
