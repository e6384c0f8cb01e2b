import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from api.people.erasure import repository
from database.models import EmailDraft
from domain.draft import DraftStatus
from tests.blocking import Blocking

pytestmark = pytest.mark.anyio


@pytest.mark.locks("api.people.erasure.repository:lock_person")
async def test_all_leads_of_a_person_are_locked(blocking: Blocking) -> None:
    """Erasure locks all leads of the address against changes, deleted ones too, the lower id first."""
    ids = blocking.add_lower("app.leads", email="another@lead.example")
    blocking.run("UPDATE app.leads SET deleted_at = now() WHERE id = %s", ids[0])
    blocking.run("UPDATE app.leads SET email = 'thandi@lead.example'")
    await blocking.prove_row_lock(
        "NO KEY UPDATE",
        "app.leads",
        ids,
        lambda session: repository.lock_person(session, blocking.workspace_id, ids[1]),
    )


@pytest.mark.locks("api.people.erasure.repository:_EMPTY_DRAFTS")
async def test_drafts_of_a_person_are_locked_by_id(blocking: Blocking) -> None:
    """Emptying the drafts of a person waits for a claim of them, and locks the lower id first."""
    pairs = blocking.add_lower_mail()
    await blocking.prove_row_lock(
        "NO KEY UPDATE",
        "app.email_drafts",
        pairs["app.email_drafts"],
        lambda session: repository.erase_messages(session, blocking.workspace_id, pairs["app.leads"], reason="erased"),
    )


@pytest.mark.locks("api.people.erasure.repository:_EMPTY_DRAFTS")
async def test_a_draft_that_was_sent_does_not_fail_by_erasure(blocking: Blocking) -> None:
    """Emptying a draft waits for an open change of it, and leaves it sent when that recorded its sending."""
    blocking.run("DELETE FROM app.send_attempts")
    lead_ids = [blocking.ids["app.leads"]]

    async def record(session: AsyncSession) -> None:
        await session.execute(update(EmailDraft).values(status=DraftStatus.SENT))

    async with blocking.kept_open(record) as recording:
        emptying = await blocking.start_waiting(
            lambda session: repository.erase_messages(session, blocking.workspace_id, lead_ids, reason="erased"),
            recording.pid,
        )
    await emptying
    assert blocking.run("SELECT status, subject FROM app.email_drafts") == [("sent", "")]
