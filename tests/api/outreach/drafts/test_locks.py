from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.outreach.drafts import repository
from tests.blocking import Blocking, RowCall

pytestmark = pytest.mark.anyio

DRAFTS = "app.email_drafts"


async def lock_draft(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> Any:
    """Lock one draft to edit it."""
    return await repository.lock_draft(session, blocking.workspace_id, ids[0])


async def approve(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> dict[UUID, str | None]:
    """Approve drafts."""
    return await repository.approve_drafts(session, blocking.workspace_id, draft_ids=ids, sequence_id=None)


@pytest.fixture
def ids(blocking: Blocking) -> list[UUID]:
    """Two drafts that wait for review, the lower id first."""
    ids = blocking.add_lower_mail()[DRAFTS]
    blocking.run("UPDATE app.email_drafts SET status = 'drafted'")
    blocking.run("DELETE FROM app.suppressions")
    return ids


@pytest.mark.parametrize(
    ("call", "rows"),
    [
        pytest.param(lock_draft, 1, marks=pytest.mark.locks("api.outreach.drafts.repository:lock_draft"), id="one"),
        pytest.param(
            approve, 2, marks=pytest.mark.locks("api.outreach.drafts.repository:approve_drafts"), id="approved"
        ),
    ],
)
async def test_drafts_are_locked_by_id(blocking: Blocking, ids: list[UUID], call: RowCall, rows: int) -> None:
    """Editing and approving wait for a claim of the same drafts, and lock the lower id first."""
    chosen = ids[-rows:]
    await blocking.prove_row_lock("NO KEY UPDATE", DRAFTS, chosen, lambda session: call(session, blocking, chosen))


async def test_approving_locks_no_lead(blocking: Blocking, ids: list[UUID]) -> None:
    """Approving locks drafts only, although it reads their leads, enrollments and sequences."""
    async with blocking.kept_open(lambda session: approve(session, blocking, ids)):
        for table in ("app.leads", "app.lead_enrollments", "app.sequences"):
            assert blocking.modes(table, [blocking.ids[table]]) == [None]


@pytest.mark.locks("api.outreach.drafts.repository:approve_drafts")
async def test_a_draft_is_approved_once(blocking: Blocking, ids: list[UUID]) -> None:
    """A second approval of the same drafts waits for the first, and then approves nothing."""
    async with blocking.kept_open(lambda session: approve(session, blocking, ids)) as first:
        second = await blocking.start_waiting(lambda session: approve(session, blocking, ids), first.pid)
    assert (first.result, await second) == (dict.fromkeys(ids), {})
