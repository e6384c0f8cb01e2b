from collections.abc import Collection
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.outreach.drafts import repository
from database.models import SendOutcome
from domain.draft import EDITABLE_STATUSES, DraftEvent, DraftStatus, source_statuses
from tests.overtaking import overtaken, rows_in_each, setting
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

DRAFTS = "app.email_drafts"


@pytest.mark.fences("api.outreach.drafts.repository:_STORE_DRAFTS")
async def test_only_pending_drafts_are_written(two_workspaces: TwoWorkspaces) -> None:
    """What a model wrote is stored in the draft that is pending still, and in none that was moved meanwhile."""
    moved, pending = rows_in_each(two_workspaces.add_draft, "status", {DraftStatus.PENDING}, DraftStatus)
    foreign = two_workspaces.add_draft(two_workspaces.neighbour)
    text = {"status": "drafted", "subject": "Hello", "body": "Hi", "body_html": "", "error_reason": None}
    written = [{"id": draft_id, **text, "generation": None} for draft_id in (*moved, *pending, foreign)]
    overtaking = await overtaken(
        two_workspaces,
        setting(DRAFTS, moved),
        lambda session: repository.store_drafts(session, two_workspaces.id, written),
    )
    assert {draft.id for draft in overtaking.result} == pending
    assert overtaking.rows == {DRAFTS: pending}


@pytest.mark.fences("api.outreach.drafts.repository:change_draft")
async def test_only_drafts_in_a_status_are_changed(two_workspaces: TwoWorkspaces) -> None:
    """A person changes a draft that may still be edited, and none that was moved meanwhile."""
    moved, editable = rows_in_each(two_workspaces.add_draft, "status", EDITABLE_STATUSES, DraftStatus)
    foreign = two_workspaces.add_draft(two_workspaces.neighbour, status="drafted")
    overtaking = await overtaken(
        two_workspaces,
        setting(DRAFTS, moved),
        lambda session: change_each(session, two_workspaces, [*moved, *editable, foreign]),
    )
    assert overtaking.result == editable
    assert overtaking.rows == {DRAFTS: editable}


@pytest.mark.fences("api.outreach.drafts.repository:change_draft")
async def test_drafts_that_are_being_sent_are_not_changed(two_workspaces: TwoWorkspaces) -> None:
    """A draft whose sending was claimed a moment ago is not changed, and the one beside it is."""
    claimed, free = (two_workspaces.add_draft(status="reviewed") for _ in range(2))
    overtaking = await overtaken(
        two_workspaces,
        lambda other: other.execute(
            "INSERT INTO app.send_attempts (workspace_id, draft_id, claimed_at) VALUES (%s, %s, %s)",
            [two_workspaces.id, claimed, NOW],
        ),
        lambda session: change_each(session, two_workspaces, [claimed, free]),
        commits_first=True,
    )
    assert overtaking.result == {free}
    assert overtaking.rows == {DRAFTS: {free}}


async def change_each(session: AsyncSession, workspaces: TwoWorkspaces, draft_ids: Collection[UUID]) -> set[UUID]:
    """Change the subject of each draft by itself, and return the ids of those that were changed."""
    answers = [
        await repository.change_draft(session, workspaces.id, draft_id, EDITABLE_STATUSES, {"subject": "Hello"})
        for draft_id in draft_ids
    ]
    return {draft.id for draft in answers if draft is not None}


@pytest.mark.fences("api.outreach.drafts.repository:approve_drafts")
async def test_only_drafts_that_wait_for_review_are_approved(two_workspaces: TwoWorkspaces) -> None:
    """A sequence's drafts are approved where they wait for review still, and left where they were moved meanwhile."""
    moved, waiting = rows_in_each(two_workspaces.add_draft, "status", source_statuses(DraftEvent.APPROVED), DraftStatus)
    two_workspaces.add_draft(two_workspaces.neighbour, status="drafted")
    overtaking = await overtaken(
        two_workspaces,
        setting(DRAFTS, moved),
        lambda session: repository.approve_drafts(
            session, two_workspaces.id, draft_ids=None, sequence_id=two_workspaces.ids["app.sequences"]
        ),
    )
    assert overtaking.result == dict.fromkeys(waiting)
    assert overtaking.rows == {DRAFTS: waiting}


@pytest.mark.fences("api.outreach.drafts.repository:approve_drafts")
@pytest.mark.parametrize(
    ("stop", "refusal"),
    [
        ("UPDATE app.lead_enrollments SET status = 'completed'", "the enrollment is completed"),
        ("UPDATE app.lead_enrollments SET status = 'unsubscribed'", "the enrollment is unsubscribed"),
        ("UPDATE app.sequences SET deleted_at = now()", "the sequence was deleted"),
        ("UPDATE app.leads SET deleted_at = now()", "the lead was deleted"),
        ("UPDATE app.leads SET status = 'Unsubscribed'", "the lead has unsubscribed"),
        ("UPDATE app.leads SET erased_at = now()", "the lead was erased"),
    ],
)
async def test_drafts_that_cannot_go_out_are_not_approved(
    two_workspaces: TwoWorkspaces, stop: str, refusal: str
) -> None:
    """A draft that was stopped a moment ago stays as it is when it is approved, and the answer says why."""
    draft_id = two_workspaces.add_draft(status="drafted")
    overtaking = await overtaken(
        two_workspaces,
        lambda other: other.execute(stop.encode()),
        lambda session: repository.approve_drafts(session, two_workspaces.id, draft_ids=[draft_id], sequence_id=None),
        commits_first=True,
    )
    assert overtaking.result == {draft_id: refusal}
    assert overtaking.rows == {}


@pytest.mark.fences("api.outreach.drafts.repository:_DELETE_REFUSED_ATTEMPT")
@pytest.mark.parametrize("outcome", SendOutcome)
async def test_only_the_attempt_of_a_refused_mail_is_deleted(
    two_workspaces: TwoWorkspaces, outcome: SendOutcome
) -> None:
    """An attempt is deleted with its slot if the provider refused the mail; with any other outcome both stay."""
    workspaces, draft_id = two_workspaces, two_workspaces.add_draft(status="failed")
    attempt_id = workspaces.add("app.send_attempts", draft_id=draft_id, claimed_at=NOW, outcome="rejected")
    workspaces.add("app.send_attempts", draft_id=workspaces.add_draft(status="failed"), outcome="rejected")
    overtaking = await overtaken(
        workspaces,
        setting("app.send_attempts", {attempt_id: {"outcome": outcome}}),
        lambda session: repository.delete_refused_attempt(session, workspaces.id, draft_id),
    )
    is_refused = outcome is SendOutcome.REJECTED
    assert overtaking.result is is_refused
    assert overtaking.rows == ({"app.send_attempts": {attempt_id}} if is_refused else {})
