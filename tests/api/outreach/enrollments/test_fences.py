from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.outreach.enrollment_status import repository as status_repository
from api.outreach.enrollments import repository
from database.models import SequenceStep
from domain.draft import DraftEvent, DraftStatus
from domain.draft import source_statuses as drafts_before
from domain.enrollment import EnrollmentEvent, EnrollmentStatus, source_statuses
from tests.overtaking import overtaken, rows_in_each, setting
from tests.suppression_hash import suppression_hash
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

ENROLLMENTS, DRAFTS = "app.lead_enrollments", "app.email_drafts"


@pytest.mark.fences("api.outreach.enrollment_status.repository:_APPLY_EVENT")
@pytest.mark.parametrize("event", EnrollmentEvent)
async def test_only_enrollments_the_event_is_legal_for_move(
    two_workspaces: TwoWorkspaces, event: EnrollmentEvent
) -> None:
    """An event moves the enrollments that may take it still, with one row of history each, and no other."""
    moved, legal = rows_in_each(two_workspaces.add_enrollment, "status", source_statuses(event), EnrollmentStatus)
    foreign = two_workspaces.add_enrollment(two_workspaces.neighbour, status=min(source_statuses(event)))
    ids = [*moved, *legal, foreign]
    overtaking = await overtaken(
        two_workspaces,
        setting(ENROLLMENTS, moved),
        lambda session: status_repository.apply_event(
            session, two_workspaces.id, event, cause="test", now=NOW, ids=ids
        ),
    )
    assert set(overtaking.result) == legal
    assert overtaking.rows.pop(ENROLLMENTS) == legal
    history = overtaking.changes.pop("app.enrollment_events").values()
    assert {UUID(row["enrollment_id"][1]) for row in history} == legal
    assert len(history) == len(legal)
    assert overtaking.changes.keys() == {ENROLLMENTS}


@pytest.mark.fences("api.outreach.enrollment_status.repository:_APPLY_EVENT")
async def test_only_the_requested_status_moves(two_workspaces: TwoWorkspaces) -> None:
    """An event that is applied to paused enrollments leaves those that have become active, though it is legal there."""
    resumed, paused = (two_workspaces.add_enrollment(status="paused") for _ in range(2))
    overtaking = await overtaken(
        two_workspaces,
        setting(ENROLLMENTS, {resumed: {"status": "active"}}),
        lambda session: status_repository.apply_event(
            session,
            two_workspaces.id,
            EnrollmentEvent.STOPPED,
            cause="test",
            now=NOW,
            sequence_id=two_workspaces.ids["app.sequences"],
            status=EnrollmentStatus.PAUSED,
        ),
    )
    assert overtaking.result == [paused]
    assert overtaking.rows[ENROLLMENTS] == {paused}


@pytest.mark.fences("api.outreach.enrollment_status.repository:defer_resume")
async def test_only_pauses_for_the_reason_are_deferred(two_workspaces: TwoWorkspaces) -> None:
    """Another day of return is set where the enrollment is paused for it still: not for another reason, not resumed."""
    paused: dict[str, Any] = {"status": "paused", "pause_reason": "out_of_office", "resume_at": NOW}
    by_status = {
        two_workspaces.add_enrollment(**paused): {"status": one} for one in EnrollmentStatus if one != "paused"
    }
    by_reason = {two_workspaces.add_enrollment(**paused): {"pause_reason": reason} for reason in ("manual", None)}
    waiting = two_workspaces.add_enrollment(**paused)
    foreign = two_workspaces.add_enrollment(two_workspaces.neighbour, **paused)
    rows = two_workspaces.owner.execute(
        "SELECT lead_id FROM app.lead_enrollments WHERE id = ANY(%s)", [[*by_status, *by_reason, waiting, foreign]]
    )
    lead_ids = [lead_id for (lead_id,) in rows]
    overtaking = await overtaken(
        two_workspaces,
        setting(ENROLLMENTS, {**by_status, **by_reason}),
        lambda session: status_repository.defer_resume(
            session, two_workspaces.id, lead_ids, "out_of_office", NOW + timedelta(days=1)
        ),
    )
    assert overtaking.result == [waiting]
    assert overtaking.rows == {ENROLLMENTS: {waiting}}


async def enrollments_of(workspaces: TwoWorkspaces) -> list[UUID]:
    """Return the enrollments of all workspaces."""
    return [row[0] for row in workspaces.owner.execute("SELECT id FROM app.lead_enrollments")]


@pytest.mark.fences("api.outreach.enrollment_status.repository:cancel_unsent_drafts")
async def test_only_unsent_drafts_are_called_off(two_workspaces: TwoWorkspaces) -> None:
    """Drafts that are unsent still fail with their enrollments; those that were moved meanwhile stay as they are."""
    sources = drafts_before(DraftEvent.CANCELLED)
    moved, unsent = rows_in_each(two_workspaces.add_draft, "status", sources, DraftStatus)
    two_workspaces.add_draft(two_workspaces.neighbour)
    ids = await enrollments_of(two_workspaces)
    # The draft that each workspace has from the start is pending, but tried already.
    overtaking = await overtaken(
        two_workspaces,
        setting(DRAFTS, moved),
        lambda session: status_repository.cancel_unsent_drafts(session, two_workspaces.id, ids, "stopped"),
    )
    assert overtaking.rows == {DRAFTS: unsent}


@pytest.mark.fences("api.outreach.enrollment_status.repository:cancel_unsent_drafts")
async def test_drafts_that_are_being_sent_are_not_called_off(two_workspaces: TwoWorkspaces) -> None:
    """A draft whose sending was claimed a moment ago goes its way, and the one beside it fails."""
    claimed, unsent = (two_workspaces.add_draft(status="reviewed") for _ in range(2))
    ids = await enrollments_of(two_workspaces)
    overtaking = await overtaken(
        two_workspaces,
        lambda other: other.execute(
            "INSERT INTO app.send_attempts (workspace_id, draft_id, claimed_at) VALUES (%s, %s, %s)",
            [two_workspaces.id, claimed, NOW],
        ),
        lambda session: status_repository.cancel_unsent_drafts(session, two_workspaces.id, ids, "stopped"),
        commits_first=True,
    )
    assert overtaking.rows == {DRAFTS: {unsent}}


async def enroll(session: AsyncSession, workspace_id: UUID, chosen: repository.LeadSelection) -> dict[str | None, int]:
    """Enroll the chosen leads as the service does: hold them, and then decide by what they are."""
    await repository.lock_leads(session, workspace_id, chosen, "UTC")
    step = (await session.scalars(select(SequenceStep))).one()
    return await repository.enroll_leads(
        session, workspace_id, chosen, step=step, send_ats={"UTC": NOW, None: NOW}, now=NOW
    )


@pytest.mark.fences("api.outreach.enrollments.repository:enroll_leads")
async def test_leads_that_may_not_be_mailed_any_more_are_not_enrolled(two_workspaces: TwoWorkspaces) -> None:
    """Who unsubscribed, was suppressed, deleted or enrolled a moment ago is not enrolled; the lead beside them is."""
    names = ("unsubscribed", "deleted", "suppressed", "blocked", "enrolled", "ended", "free")
    leads = {
        name: two_workspaces.add("app.leads", email=f"{name}@{'blocked' if name == 'blocked' else 'open'}.example")
        for name in names
    }
    foreign = two_workspaces.add("app.leads", two_workspaces.neighbour)
    chosen = repository.LeadSelection([*leads.values(), foreign], None)

    def stop(other: psycopg.Connection) -> None:
        setting(
            "app.leads", {leads["unsubscribed"]: {"status": "Unsubscribed"}, leads["deleted"]: {"deleted_at": NOW}}
        )(other)
        for value, kind in (("suppressed@open.example", "email"), ("@blocked.example", "domain")):
            reason = "domain" if kind == "domain" else "manual"
            other.execute(
                "INSERT INTO app.suppressions"
                " (account_id, workspace_id, kind, value, value_hash, reason, source, suppressed_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, 'test', now())",
                [
                    *(two_workspaces.account_id, two_workspaces.id, kind, value),
                    *(suppression_hash(two_workspaces.account_id, value), reason),
                ],
            )
        for name, status in (("enrolled", "paused"), ("ended", "completed")):
            other.execute(
                "INSERT INTO app.lead_enrollments"
                " (workspace_id, lead_id, sequence_id, current_step_order, status, enrolled_at)"
                " VALUES (%s, %s, %s, 1, %s, now())",
                [two_workspaces.id, leads[name], two_workspaces.ids["app.sequences"], status],
            )

    overtaking = await overtaken(two_workspaces, stop, lambda session: enroll(session, two_workspaces.id, chosen))
    assert overtaking.result == {
        "enrolled": 1, None: 1, "unsubscribed": 1, "suppressed": 2, "already_enrolled": 2
    }  # fmt: skip
    assert overtaking.changes.keys() == {ENROLLMENTS, DRAFTS}
    for rows in overtaking.changes.values():
        assert [UUID(row["lead_id"][1]) for row in rows.values()] == [leads["free"]]
