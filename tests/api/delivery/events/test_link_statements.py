"""Which mail a new unsubscribe link is about, and that two requests at once get one link."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.events import repository
from tests.blocking import Blocking
from tests.business_clock import business_now

pytestmark = pytest.mark.anyio

ADDRESS = "thandi@lead.example"
NOW = business_now()


def send(blocking: Blocking, outcome: str = "accepted", minutes: int = 0) -> UUID:
    """Make the row's attempt one to send a mail to the address."""
    blocking.run(
        "UPDATE app.send_attempts SET recipient = %s, outcome = %s, claimed_at = %s, link_requested_at = NULL"
        " WHERE id = %s",
        *(ADDRESS, outcome, NOW + timedelta(minutes=minutes), blocking.ids["app.send_attempts"]),
    )
    return blocking.ids["app.email_drafts"]


async def reserve(blocking: Blocking, named: UUID | None = None) -> tuple[UUID, UUID] | None:
    """Reserve a link for the address."""
    return await blocking.run_alone(
        lambda session: repository.reserve_link(session, ADDRESS, named, NOW, not_after=NOW - timedelta(hours=1))
    )


@pytest.mark.parametrize(
    ("outcome", "is_sent"), [("accepted", True), ("unknown", True), ("claimed", False), ("rejected", False)]
)
async def test_only_mails_that_were_sent(blocking: Blocking, outcome: str, *, is_sent: bool) -> None:
    """A mail that was or may have been accepted has a recipient; one that waits or was refused has none."""
    draft_id = send(blocking, outcome)
    expected = (blocking.workspace_id, draft_id) if is_sent else None
    assert await reserve(blocking, uuid4()) == expected


async def test_a_deleted_workspace(blocking: Blocking) -> None:
    """A workspace that was deleted sends nothing."""
    send(blocking)
    blocking.run("UPDATE app.workspaces SET deleted_at = now() WHERE id = %s", blocking.workspace_id)
    assert await reserve(blocking) is None


@pytest.mark.locks("database/migrations:app.reserve_unsubscribe_link")
async def test_two_requests_at_once(blocking: Blocking) -> None:
    """The second request waits for the first, and gets no link; a request for another address does not wait."""
    draft_id = send(blocking)

    async def call(session: AsyncSession, address: str = ADDRESS) -> tuple[UUID, UUID] | None:
        return await repository.reserve_link(session, address, None, NOW, not_after=NOW - timedelta(hours=1))

    async with blocking.kept_open(call) as side:
        assert side.result == (blocking.workspace_id, draft_id)
        await blocking.run_alone(lambda session: call(session, "other@lead.example"))
        second = await blocking.start_waiting(call, side.pid)
    assert await second is None
