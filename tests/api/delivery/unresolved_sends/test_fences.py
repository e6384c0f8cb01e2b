from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.unresolved_sends import repository
from database.models import SendOutcome
from domain.draft import DraftEvent, DraftStatus, source_statuses
from tests.overtaking import overtaken, rows_in_each, setting
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

DRAFTS, ATTEMPTS = "app.email_drafts", "app.send_attempts"


@pytest.mark.fences("api.delivery.unresolved_sends.repository:record_failed_lookup")
async def test_only_unknown_sends_are_noted_as_looked_up(two_workspaces: TwoWorkspaces) -> None:
    """A look-up in vain is noted on a send of unknown outcome, and not on one whose end was recorded meanwhile."""
    workspaces = two_workspaces
    drafts: dict[UUID, UUID] = {}

    def add_attempt(outcome: str) -> UUID:
        draft_id = workspaces.add_draft(status="reviewed")
        attempt_id = workspaces.add(ATTEMPTS, draft_id=draft_id, outcome=outcome)
        drafts[attempt_id] = draft_id
        return attempt_id

    moved, unknown = rows_in_each(add_attempt, "outcome", {SendOutcome.UNKNOWN}, SendOutcome)

    async def note_each(session: AsyncSession) -> None:
        for attempt_id in (*moved, *unknown):
            await repository.record_failed_lookup(session, workspaces.id, drafts[attempt_id], NOW + timedelta(hours=1))

    overtaking = await overtaken(workspaces, setting(ATTEMPTS, moved), note_each)
    assert overtaking.rows == {ATTEMPTS: unknown}


@pytest.mark.fences("api.delivery.unresolved_sends.repository:restore_claims")
async def test_only_drafts_that_may_be_sent_are_claimed_again(two_workspaces: TwoWorkspaces) -> None:
    """A withdrawn claim returns where the draft may have been sent; not where the draft was moved or claimed since."""
    workspaces = two_workspaces
    moved, free = rows_in_each(workspaces.add_draft, "status", source_statuses(DraftEvent.SENT), DraftStatus)
    claimed = workspaces.add_draft(status="reviewed")
    foreign = workspaces.add_draft(workspaces.neighbour, status="reviewed")
    workspaces.add_draft(status="reviewed")  # which is not among them

    def overtake(other: psycopg.Connection) -> None:
        other.execute("SELECT FROM app.leads FOR SHARE")
        setting(DRAFTS, moved)(other)
        other.execute(
            "INSERT INTO app.send_attempts (workspace_id, draft_id, claimed_at) VALUES (%s, %s, %s)",
            [workspaces.id, claimed, NOW],
        )

    ids = [*moved, *free, claimed, foreign]
    overtaking = await overtaken(
        workspaces, overtake, lambda session: repository.restore_claims(session, workspaces.id, ids, "lost", NOW)
    )
    assert overtaking.changes.keys() == {ATTEMPTS}
    added = overtaking.changes[ATTEMPTS].values()
    assert {UUID(row["draft_id"][1]) for row in added} == free
    assert {row["outcome"][1] for row in added} == {"unknown"}
