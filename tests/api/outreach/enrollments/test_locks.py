from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.errors import NotFound
from api.outreach.enrollment_status import repository as status_repository
from api.outreach.enrollments import repository, service
from api.outreach.sequences import service as sequences
from database.models import Workspace
from domain.enrollment import EnrollmentEvent
from tests.blocking import Blocking, RowCall

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 4, 10, tzinfo=UTC)
ENROLLMENTS, DRAFTS, LEADS = "app.lead_enrollments", "app.email_drafts", "app.leads"


async def move(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> list[UUID]:
    """Pause enrollments."""
    return await status_repository.apply_event(
        session, blocking.workspace_id, EnrollmentEvent.PAUSED, cause="a person", now=NOW, ids=ids
    )


async def defer_resume(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> list[UUID]:
    """Say when enrollments that wait for a person's return resume."""
    rows = blocking.run("SELECT lead_id FROM app.lead_enrollments WHERE id = ANY(%s)", list(ids))
    lead_ids = [row[0] for row in rows]
    return await status_repository.defer_resume(session, blocking.workspace_id, lead_ids, "out of office", NOW)


async def lock_all_live(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> None:
    """Lock the live enrollments of a sequence."""
    await status_repository.lock_live_enrollments(session, blocking.workspace_id, blocking.ids["app.sequences"])


async def cancel_drafts(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> None:
    """Fail the unsent drafts of enrollments."""
    rows = blocking.run("SELECT enrollment_id FROM app.email_drafts WHERE id = ANY(%s)", list(ids))
    await status_repository.cancel_unsent_drafts(session, blocking.workspace_id, [row[0] for row in rows], "stopped")


async def lock_leads(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> None:
    """Lock the leads that are to be enrolled."""
    await repository.lock_leads(session, blocking.workspace_id, repository.LeadSelection(ids, None), "UTC")


@pytest.mark.parametrize(
    ("call", "mode", "table", "before"),
    [
        pytest.param(
            move,
            "NO KEY UPDATE",
            ENROLLMENTS,
            "UPDATE app.lead_enrollments SET status = 'active'",
            marks=pytest.mark.locks("api.outreach.enrollment_status.repository:_APPLY_EVENT"),
            id="move",
        ),
        pytest.param(
            defer_resume,
            "NO KEY UPDATE",
            ENROLLMENTS,
            "UPDATE app.lead_enrollments SET status = 'paused', pause_reason = 'out of office'",
            marks=pytest.mark.locks("api.outreach.enrollment_status.repository:defer_resume"),
            id="defer_resume",
        ),
        pytest.param(
            lock_all_live,
            "NO KEY UPDATE",
            ENROLLMENTS,
            "UPDATE app.lead_enrollments SET sequence_id = (SELECT max(id::text)::uuid FROM app.sequences)",
            marks=pytest.mark.locks("api.outreach.enrollment_status.repository:lock_live_enrollments"),
            id="hold_all_live",
        ),
        pytest.param(
            cancel_drafts,
            "NO KEY UPDATE",
            DRAFTS,
            "DELETE FROM app.send_attempts",
            marks=pytest.mark.locks("api.outreach.enrollment_status.repository:cancel_unsent_drafts"),
            id="cancel_drafts",
        ),
        pytest.param(
            lock_leads,
            "SHARE",
            LEADS,
            "UPDATE app.leads SET deleted_at = NULL",
            marks=pytest.mark.locks("api.outreach.enrollments.repository:lock_leads"),
            id="hold_leads",
        ),
    ],
)
async def test_rows_are_locked_by_id(blocking: Blocking, call: RowCall, mode: str, table: str, before: str) -> None:
    """Leads, enrollments and drafts are locked in the mode that the call needs, the lower id first."""
    ids = blocking.add_lower_mail()[table]
    blocking.run(before)
    await blocking.prove_row_lock(mode, table, ids, lambda session: call(session, blocking, ids))


@pytest.mark.locks("api.outreach.enrollment_status.repository:_APPLY_EVENT")
async def test_an_enrollment_is_moved_once(blocking: Blocking) -> None:
    """A second pause of the same enrollment waits for the first, and then moves nothing."""
    ids = [blocking.ids[ENROLLMENTS]]
    async with blocking.kept_open(lambda session: move(session, blocking, ids)) as first:
        second = await blocking.start_waiting(lambda session: move(session, blocking, ids), first.pid)
    assert (first.result, await second) == (ids, [])


@pytest.mark.locks("api.outreach.enrollment_status.repository:defer_resume")
async def test_a_resumed_enrollment_is_not_deferred(blocking: Blocking) -> None:
    """Deferring an enrollment waits for an open change of it, and leaves it out when that resumed it."""
    ids = [blocking.ids[ENROLLMENTS]]
    blocking.run("UPDATE app.lead_enrollments SET status = 'paused', pause_reason = 'out of office'")

    async def resume(session: AsyncSession) -> None:
        await status_repository.apply_event(
            session, blocking.workspace_id, EnrollmentEvent.RESUMED, cause="a person", now=NOW, ids=ids
        )

    async with blocking.kept_open(resume) as resuming:
        deferring = await blocking.start_waiting(lambda session: defer_resume(session, blocking, ids), resuming.pid)
    assert await deferring == []
    assert blocking.run("SELECT status, resume_at FROM app.lead_enrollments") == [("active", None)]


@pytest.mark.locks(
    "api.outreach.enrollment_status.repository:_LOCK_ENTRY_EXCLUSIVE",
    "api.outreach.enrollment_status.repository:_LOCK_ENTRY_SHARED",
)
async def test_enrolling_and_ending_exclude_each_other(blocking: Blocking) -> None:
    """Enrolling and ending a sequence exclude each other; two that enroll, and other sequences, do not wait."""
    sequence_id, other_id = blocking.ids["app.sequences"], UUID(int=1)

    async def enter(session: AsyncSession) -> None:
        await status_repository.lock_entry(session, sequence_id, exclusive=False)

    async def end(session: AsyncSession) -> None:
        await status_repository.lock_entry(session, sequence_id, exclusive=True)

    async def end_other(session: AsyncSession) -> None:
        await status_repository.lock_entry(session, other_id, exclusive=True)

    async with blocking.kept_open(enter) as entering:
        await blocking.run_alone(enter)
        await blocking.run_alone(end_other)
        ending = await blocking.start_waiting(end, entering.pid)
    await ending
    async with blocking.kept_open(end) as ending_first:
        await blocking.run_alone(end_other)
        entering_later = await blocking.start_waiting(enter, ending_first.pid)
        ending_later = await blocking.start_waiting(end, ending_first.pid)
    await entering_later
    await ending_later


async def test_a_lead_is_not_enrolled_in_a_sequence_that_is_deleted(blocking: Blocking) -> None:
    """Enrolling waits for an open deletion of the sequence, and is then refused."""
    blocking.run("UPDATE app.sequences SET status = 'Active', deleted_at = NULL")
    sequence_id = blocking.ids["app.sequences"]

    async def delete(session: AsyncSession) -> None:
        sequence = await sequences.lock_to_delete(session, blocking.workspace_id, sequence_id)
        await sequences.delete_sequence(session, sequence, cause="by a person", now=NOW)

    async def enroll(session: AsyncSession) -> Any:
        workspace = await session.get_one(Workspace, blocking.workspace_id)
        return await service.enroll_leads(
            session,
            workspace,
            sequence_id=sequence_id,
            lead_ids=[blocking.ids[LEADS]],
            list_id=None,
            by=UUID(int=1),
            now=NOW,
        )

    async with blocking.kept_open(delete) as deleting:
        enrolling = await blocking.start_waiting(enroll, deleting.pid)
    with pytest.raises(NotFound):
        await enrolling
