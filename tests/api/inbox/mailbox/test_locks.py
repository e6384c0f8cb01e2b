import pytest

from api.inbox.mailbox import repository
from tests.blocking import Blocking

pytestmark = pytest.mark.anyio


@pytest.mark.locks("api.inbox.mailbox.repository:lock_mailbox")
async def test_a_mailbox_is_locked_alone(blocking: Blocking) -> None:
    """A mailbox is locked exclusively while its state is recorded or it is replaced."""
    mailbox_id = blocking.ids["app.mailboxes"]
    await blocking.prove_row_lock(
        "UPDATE",
        "app.mailboxes",
        [mailbox_id],
        lambda session: repository.lock_mailbox(session, blocking.workspace_id, mailbox_id),
    )
