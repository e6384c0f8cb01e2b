from datetime import timedelta

import pytest

from api.delivery.slots import repository
from api.delivery.slots.repository import Slot
from tests.overtaking import overtaken
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

SLOTS = "app.send_slots"


@pytest.mark.fences("api.delivery.slots.repository:_WRITE_SLOTS")
async def test_only_forgotten_slots_are_released(two_workspaces: TwoWorkspaces) -> None:
    """Slots from before a time are deleted, and a released one; not one that was moved to that time meanwhile."""
    workspaces, old = two_workspaces, NOW - timedelta(microseconds=1)
    renewed, forgotten, released, later, taken = (workspaces.add_draft() for _ in range(5))
    at = {renewed: old, forgotten: old, released: NOW, later: NOW, taken: old}
    workspaces.owner.cursor().executemany(
        "INSERT INTO app.send_slots (workspace_id, draft_id, domain, at) VALUES (%s, %s, 'x', %s)",
        [(workspaces.id, draft_id, moment) for draft_id, moment in at.items()],
    )
    overtaking = await overtaken(
        workspaces,
        lambda other: other.execute("UPDATE app.send_slots SET at = %s WHERE draft_id = %s", [NOW, renewed]),
        lambda session: repository.write_slots(
            session, workspaces.id, {released: None, taken: Slot("x", NOW, is_used=True)}, expired_before=NOW
        ),
    )
    assert overtaking.rows == {SLOTS: {forgotten, released, taken}}
    assert overtaking.changes[SLOTS][str(taken)].keys() == {"at", "is_used"}
