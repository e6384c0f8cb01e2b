import pytest

from api.inbox.replies import repository
from tests.blocking import Blocking

pytestmark = pytest.mark.anyio


@pytest.mark.locks("api.inbox.replies.repository:lock_reply")
async def test_a_reply_is_locked_against_changes(blocking: Blocking) -> None:
    """A reply is locked against changes, so that two corrections run one after the other."""
    reply_id = blocking.ids["app.replies"]
    await blocking.prove_row_lock(
        "NO KEY UPDATE",
        "app.replies",
        [reply_id],
        lambda session: repository.lock_reply(session, blocking.workspace_id, reply_id),
    )
