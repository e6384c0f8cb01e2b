from uuid import UUID

import pytest

from api.accounts.usage import repository
from tests.overtaking import overtaken
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

RESERVATIONS = "app.ai_reservations"
_EXPIRE = "UPDATE app.ai_reservations SET expires_at = now() + make_interval(secs => %s) WHERE id = %s"


@pytest.mark.fences("api.accounts.usage.repository:_DELETE_EXPIRED")
async def test_only_reservations_that_have_expired_are_forgotten(two_workspaces: TwoWorkspaces) -> None:
    """Who reserves tokens forgets the workspace's expired reservations, and none that was prolonged meanwhile."""
    workspaces = two_workspaces
    prolonged, expired, later = (workspaces.add(RESERVATIONS) for _ in range(3))
    seconds = {prolonged: -60, expired: -60, later: 60, workspaces.ids[RESERVATIONS]: 60}
    for reservation_id, from_now in seconds.items():
        workspaces.owner.execute(_EXPIRE, [from_now, reservation_id])
    overtaking = await overtaken(
        workspaces,
        lambda other: other.execute(_EXPIRE, [60, prolonged]),
        lambda session: repository.reserve_tokens(session, workspaces.id, [10], seconds=60),
    )
    (made,) = overtaking.result
    assert overtaking.rows == {RESERVATIONS: {expired, UUID(str(made))}}
