"""Each statement of enrollments beside rows that differ from its own in one condition, and what enrolling counts."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.slots import schedule
from api.http.pagination import Cursors, PageRequest
from api.outreach.enrollment_status import repository as status_repository
from api.outreach.enrollments import repository, service
from api.outreach.enrollments.repository import LeadSelection
from api.outreach.sequences import service as sequences
from api.people.suppressions import service as suppressions
from database.conditions import block_reason
from database.models import Lead, Workspace
from domain.enrollment import LIVE_STATUSES, EnrollmentStatus
from domain.schedule import StepDelay
from domain.suppression import SuppressionReason
from tests.blocking import Blocking
from tests.comparing import compared
from tests.overtaking import overtaken
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

ENROLLMENTS, DRAFTS, LEADS, SEQUENCES = "app.lead_enrollments", "app.email_drafts", "app.leads", "app.sequences"
UNKNOWN = UUID(int=7)
PAGE = PageRequest(50, "-createdAt", None, "", Cursors("a key"))


def add(workspaces: TwoWorkspaces, **values: Any) -> tuple[UUID, UUID]:
    """Insert a lead and its enrollment; returns both."""
    lead_id = workspaces.add(LEADS)
    return lead_id, workspaces.add(ENROLLMENTS, lead_id=lead_id, **values)


async def test_enrollments_are_read_by_each_filter(two_workspaces: TwoWorkspaces) -> None:
    """Each filter of the list, the counts, the statuses and the one by id leave out what differs in it."""
    workspaces = two_workspaces
    other_sequence = workspaces.add(SEQUENCES)
    lead_id, paused = add(workspaces, status="paused")
    elsewhere = workspaces.add(ENROLLMENTS, lead_id=lead_id, sequence_id=other_sequence)
    active = workspaces.ids[ENROLLMENTS]
    sequence_id = workspaces.ids[SEQUENCES]

    async def listed(session: AsyncSession, **filters: Any) -> list[UUID]:
        filters = {"sequence_id": None, "lead_id": None, "status": None} | filters
        rows = await repository.list_enrollments(session, workspaces.id, PAGE, **filters)
        return [row.id for row in rows]

    async def read(session: AsyncSession) -> dict[str, Any]:
        found = await status_repository.find_enrollment(session, workspaces.id, paused)
        return {
            "all": await listed(session),
            "by sequence": await listed(session, sequence_id=sequence_id),
            "by lead": await listed(session, lead_id=lead_id),
            "by status": await listed(session, status=EnrollmentStatus.PAUSED),
            "count": await status_repository.count_enrollments(session, workspaces.id, sequence_id),
            "count of status": await status_repository.count_enrollments(
                session, workspaces.id, sequence_id, EnrollmentStatus.PAUSED
            ),
            "statuses": await status_repository.get_statuses(session, workspaces.id, [paused, UNKNOWN]),
            "by id": found and found.id,
        }

    assert (await compared(workspaces, read)).result == {
        "all": [elsewhere, paused, active],
        "by sequence": [paused, active],
        "by lead": [elsewhere, paused],
        "by status": [paused],
        "count": 2,
        "count of status": 1,
        "statuses": {paused: EnrollmentStatus.PAUSED},
        "by id": paused,
    }


async def test_why_a_lead_must_not_be_mailed(two_workspaces: TwoWorkspaces) -> None:
    """Each reason is that of its own lead, the weightiest first, and a lead without any may be mailed."""
    workspaces = two_workspaces
    reasons: dict[UUID, str | None] = {
        workspaces.add(LEADS, status="Unsubscribed", erased_at=NOW): "the lead has unsubscribed",
        workspaces.add(LEADS, erased_at=NOW, deleted_at=NOW): "the lead was erased",
        workspaces.add(LEADS, deleted_at=NOW): "the lead was deleted",
        workspaces.add(LEADS, email="no@lead.example", status="Unsubscribed"): "the address is suppressed",
        workspaces.add(LEADS, email="yes@lead.example"): None,
    }

    async def read(session: AsyncSession) -> dict[UUID, str | None]:
        await suppressions.add_suppression(
            session, workspaces.id, email="no@lead.example", domain=None, reason=SuppressionReason.MANUAL,
            source="test", at=NOW,
        )  # fmt: skip
        statement = select(Lead.id, block_reason(workspaces.id)).where(Lead.id.in_(reasons))
        return dict((await session.execute(statement)).all())

    assert (await compared(workspaces, read)).result == reasons


async def enroll(session: AsyncSession, workspaces: TwoWorkspaces, sequence_id: UUID, **chosen: Any) -> Any:
    """Enroll leads as a person does."""
    workspace = await session.get_one(Workspace, workspaces.id)
    chosen = {"lead_ids": None, "list_id": None} | chosen
    return await service.enroll_leads(session, workspace, sequence_id=sequence_id, by=UUID(int=1), now=NOW, **chosen)


def add_active_sequence(workspaces: TwoWorkspaces) -> UUID:
    """Insert an active sequence of two steps."""
    sequence_id = workspaces.add(SEQUENCES, status="Active")
    for order in (1, 2):
        workspaces.add("app.sequence_steps", sequence_id=sequence_id, step_order=order, delay_days=order)
    return sequence_id


async def test_only_the_leads_of_the_list_are_enrolled(two_workspaces: TwoWorkspaces) -> None:
    """Leads of the list that are there are enrolled with a draft and a job each; who went through before is not."""
    workspaces = two_workspaces
    sequence_id, list_id = add_active_sequence(workspaces), workspaces.add("app.lead_lists", name="Fair")
    fresh, elsewhere, before = (workspaces.add(LEADS, list_id=list_id) for _ in range(3))
    workspaces.add(LEADS, list_id=list_id, deleted_at=NOW)
    unsubscribed = workspaces.add(LEADS, list_id=list_id, status="Unsubscribed")
    workspaces.add(LEADS, list_id=None)
    workspaces.add(ENROLLMENTS, lead_id=elsewhere)
    workspaces.add(ENROLLMENTS, lead_id=before, sequence_id=sequence_id, status="completed")
    # A pending draft of the sequence that another transaction has made.
    workspaces.add(DRAFTS, sequence_id=sequence_id, step_id=workspaces.add("app.sequence_steps", step_order=5))

    done = await compared(workspaces, lambda session: enroll(session, workspaces, sequence_id, list_id=list_id))

    assert done.result == (2, {"already_enrolled": 1, "unsubscribed": 1})
    assert unsubscribed not in {fresh, elsewhere}
    for table in (ENROLLMENTS, DRAFTS):
        added = done.changes[table].values()
        assert sorted(row["lead_id"][1] for row in added) == sorted(map(str, (fresh, elsewhere)))
        assert {row["sequence_id"][1] for row in added} == {str(sequence_id)}
    jobs = done.changes["app.scheduled_jobs"].values()
    assert sorted(row["payload"][1]["draftId"] for row in jobs) == sorted(done.changes[DRAFTS])
    assert {UUID(row["payload"][1]["actor"]) for row in jobs} == {UUID(int=1)}


async def test_jobs_are_made_for_new_pending_drafts_of_the_sequence(two_workspaces: TwoWorkspaces) -> None:
    """A job is made for a draft that this transaction made, of this sequence, that is to be written; for no other."""
    workspaces = two_workspaces
    mine, other = workspaces.ids[SEQUENCES], workspaces.add(SEQUENCES)
    workspaces.add_draft()  # made earlier
    enrollments = [add(workspaces)[1] for _ in range(3)]
    rows = zip(enrollments, (mine, other, mine), ("pending", "pending", "drafted"), strict=True)
    insert = [
        f"INSERT INTO app.email_drafts (workspace_id, lead_id, sequence_id, enrollment_id, step_id, step_order, status)"
        f" VALUES ('{workspaces.id}', '{UNKNOWN}', '{sequence_id}', '{enrollment_id}',"
        f" '{workspaces.ids['app.sequence_steps']}', 1, '{status}')"
        for enrollment_id, sequence_id, status in rows
    ]

    async def make(session: AsyncSession) -> list[tuple[UUID, datetime]]:
        for statement in insert:
            await (await session.connection()).exec_driver_sql(statement)
        jobs = await session.execute(repository.select_draft_jobs(workspaces.id, mine, NOW, UNKNOWN))
        return [(UUID(payload["draftId"]), due) for payload, due in jobs]

    made = await compared(workspaces, make)
    first = {
        draft_id for draft_id, row in made.changes[DRAFTS].items() if row["enrollment_id"][1] == str(enrollments[0])
    }
    assert [(str(draft_id), due) for draft_id, due in made.result] == [(first.pop(), NOW)]


async def test_leads_that_another_enrolls_meanwhile_are_counted_once(two_workspaces: TwoWorkspaces) -> None:
    """Each lead asked for is counted once: enrolled, enrolled before or a moment ago, or unknown."""
    workspaces = two_workspaces
    sequence_id = add_active_sequence(workspaces)
    free, before, *meanwhile = (workspaces.add(LEADS) for _ in range(4))
    workspaces.add(ENROLLMENTS, lead_id=before, sequence_id=sequence_id)
    lead_ids = [free, before, *meanwhile, free, UNKNOWN, UUID(int=8), UUID(int=9)]

    done = await overtaken(
        workspaces,
        lambda other: other.cursor().executemany(
            "INSERT INTO app.lead_enrollments (workspace_id, lead_id, sequence_id, current_step_order, enrolled_at)"
            " VALUES (%s, %s, %s, 1, now())",
            [(workspaces.id, lead_id, sequence_id) for lead_id in meanwhile],
        ),
        lambda session: enroll(session, workspaces, sequence_id, lead_ids=lead_ids),
    )
    assert done.result == (1, {"already_enrolled": 3, "unknown": 3})
    again = await compared(workspaces, lambda session: enroll(session, workspaces, sequence_id, lead_ids=[free]))
    assert again.result == (0, {"already_enrolled": 1})


async def test_only_live_enrollments_of_the_sequence_are_locked(blocking: Blocking) -> None:
    """A sequence that ends locks its enrollments that can still move, not ended ones nor those of another."""
    pairs = blocking.add_lower_mail()
    low, high = pairs[ENROLLMENTS]
    sequence_id = pairs[SEQUENCES][0]

    async def lock(session: AsyncSession) -> None:
        await status_repository.lock_live_enrollments(session, blocking.workspace_id, sequence_id)

    for status in EnrollmentStatus:
        blocking.run("UPDATE app.lead_enrollments SET status = %s", status.value)
        async with blocking.kept_open(lock):
            assert blocking.modes(ENROLLMENTS, [low, high]) == [
                "NO KEY UPDATE" if status in LIVE_STATUSES else None,
                None,
            ]


async def test_only_the_chosen_leads_are_locked(blocking: Blocking) -> None:
    """Enrolling locks the chosen leads that are there, in share mode, and tells their zones."""
    low, high = blocking.add_lower(LEADS, email="low@lead.example", timezone="Asia/Tokyo")
    blocking.run("UPDATE app.leads SET deleted_at = NULL, timezone = 'Africa/Lagos' WHERE id = %s", high)

    async def lock(session: AsyncSession, *ids: UUID) -> list[str]:
        return await repository.lock_leads(session, blocking.workspace_id, LeadSelection(ids, None), "UTC")

    async with blocking.kept_open(lambda session: lock(session, low)) as side:
        assert (side.result, blocking.modes(LEADS, [low, high])) == (["Asia/Tokyo"], ["SHARE", None])
    blocking.run("UPDATE app.leads SET deleted_at = now() WHERE id = %s", low)
    blocking.run("UPDATE app.leads SET timezone = NULL WHERE id = %s", high)
    async with blocking.kept_open(lambda session: lock(session, low, high)) as side:
        assert (side.result, blocking.modes(LEADS, [low, high])) == (["UTC"], [None, "SHARE"])


async def test_enrolling_lets_others_enroll_and_ending_does_not(blocking: Blocking) -> None:
    """While leads enroll, others may enter the sequence and it cannot end; while it ends, no lead enters."""
    blocking.run("UPDATE app.sequences SET status = 'Active', deleted_at = NULL")
    sequence_id = blocking.ids[SEQUENCES]

    async def enter(session: AsyncSession) -> None:
        await status_repository.lock_entry(session, sequence_id, exclusive=False)

    async def end(session: AsyncSession) -> None:
        await status_repository.lock_entry(session, sequence_id, exclusive=True)

    async def enroll_lead(session: AsyncSession) -> Any:
        workspace = await session.get_one(Workspace, blocking.workspace_id)
        leads = [blocking.ids[LEADS]]
        return await service.enroll_leads(
            session, workspace, sequence_id=sequence_id, lead_ids=leads, list_id=None, by=UNKNOWN, now=NOW
        )

    async with blocking.kept_open(enroll_lead) as side:
        await blocking.run_alone(enter)
        ending = await blocking.start_waiting(end, side.pid)
    await ending
    async with blocking.kept_open(
        lambda session: sequences.lock_to_delete(session, blocking.workspace_id, sequence_id)
    ) as side:
        entering = await blocking.start_waiting(enter, side.pid)
    await entering


def test_hours_are_those_of_the_recipient_or_else_of_the_workspace() -> None:
    """The zone of the lead counts, or the workspace's; the delay counts from the step before, or from now."""
    workspace = Workspace(
        timezone="UTC", window_start=time(8), window_end=time(17),
        sending_weekdays=[0, 1, 2, 3, 4], holidays_country=None,
    )  # fmt: skip
    night = datetime(2026, 3, 4, 3, tzinfo=UTC)  # a Wednesday
    later = night + timedelta(hours=4)
    delay, previous = StepDelay(days=1), later - timedelta(days=1)
    assert schedule.find_step_time(workspace, None, now=night).at == datetime(2026, 3, 4, 8, tzinfo=UTC)
    assert schedule.find_step_time(workspace, "Asia/Tokyo", now=night).at == night
    assert schedule.find_step_time(workspace, "Asia/Tokyo", now=night, delay=delay).at == night + timedelta(days=1)
    since = schedule.find_step_time(workspace, "Asia/Tokyo", now=night, previous=previous, delay=delay)
    assert since.at == later
