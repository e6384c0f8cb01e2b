import pytest

from api.inbox.replies import repository
from tests.overtaking import overtaken, setting
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

REPLIES = "app.replies"


@pytest.mark.fences("api.inbox.replies.repository:store_decision")
@pytest.mark.parametrize(
    ("values", "overwrite", "is_stored"),
    [
        ({"intent": "interested"}, False, False),
        ({"intent": "interested"}, True, True),
        ({"subject": "Re"}, False, True),
    ],
)
async def test_an_intent_is_stored_once(
    two_workspaces: TwoWorkspaces, values: dict[str, str], *, overwrite: bool, is_stored: bool
) -> None:
    """An intent is stored if the reply has got none meanwhile; a correction overwrites it."""
    reply_id = two_workspaces.ids[REPLIES]
    two_workspaces.add(REPLIES)
    overtaking = await overtaken(
        two_workspaces,
        setting(REPLIES, {reply_id: values}),
        lambda session: repository.store_decision(session, reply_id, {"intent": "not_interested"}, overwrite=overwrite),
    )
    assert overtaking.result is is_stored
    assert overtaking.rows == ({REPLIES: {reply_id}} if is_stored else {})
