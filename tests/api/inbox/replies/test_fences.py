import pytest

from api.inbox.replies import repository
from tests.overtaking import overtaken, setting
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

REPLIES = "app.replies"


@pytest.mark.fences("api.inbox.replies.repository:store_decision")
@pytest.mark.parametrize(
    ("values", "anew", "is_decided"),
    [
        ({"intent": "interested"}, False, False),
        ({"intent": "interested"}, True, True),
        ({"subject": "Re"}, False, True),
    ],
)
async def test_a_reply_is_decided_once(
    two_workspaces: TwoWorkspaces, values: dict[str, str], *, anew: bool, is_decided: bool
) -> None:
    """What a reply means is stored where nobody has decided it meanwhile; a person decides it anew."""
    reply_id = two_workspaces.ids[REPLIES]
    two_workspaces.add(REPLIES)
    overtaking = await overtaken(
        two_workspaces,
        setting(REPLIES, {reply_id: values}),
        lambda session: repository.store_decision(session, reply_id, {"intent": "not_interested"}, anew=anew),
    )
    assert overtaking.result is is_decided
    assert overtaking.rows == ({REPLIES: {reply_id}} if is_decided else {})
