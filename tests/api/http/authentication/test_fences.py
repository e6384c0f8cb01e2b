import pytest

from api.http.authentication import repository
from tests.overtaking import overtaken, setting
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

USERS = "app.users"


@pytest.mark.fences("api.http.authentication.repository:link_subject")
@pytest.mark.parametrize("is_known", [False, True])
async def test_a_user_has_the_subject_that_came_first(two_workspaces: TwoWorkspaces, *, is_known: bool) -> None:
    """A user whose subject was noted meanwhile keeps it; one who has none by then is given it."""
    user_id = two_workspaces.ids[USERS]
    two_workspaces.add(USERS)
    overtaking = await overtaken(
        two_workspaces,
        setting(USERS, {user_id: {"subject_hash": "first"} if is_known else {"name": "Ann"}}),
        lambda session: repository.link_subject(session, user_id, "second"),
    )
    assert overtaking.rows == ({} if is_known else {USERS: {user_id}})
