import psycopg
import pytest

from api.people.erasure import repository
from api.people.erasure.repository import Traces
from tests.overtaking import overtaken
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

CALLBACKS, DELIVERIES = "everlytic.callback_events", "everlytic.webhook_deliveries"
TRACES = Traces([], ["d"], [], ["ann@lead.example"], None, "ann@lead")
ADD_CALLBACK = (
    "INSERT INTO everlytic.callback_events"
    " (workspace_id, event_key, type, message_id, recipient, occurred_at, raw, applied_at)"
    " VALUES (%s, %s, 'x', 'd', 'ann@lead.example', now(), '{\"a\": 1}', %s)"
)


@pytest.mark.fences("api.people.erasure.repository:_CALLBACKS")
async def test_only_applied_callbacks_are_emptied(two_workspaces: TwoWorkspaces) -> None:
    """A polled event about an erased person is emptied once it is applied; until then it is counted and kept."""
    workspaces = two_workspaces
    for key, applied_at in (("waiting", None), ("applied", NOW), ("just applied", None)):
        workspaces.owner.execute(ADD_CALLBACK, [workspaces.id, key, applied_at])
    workspaces.owner.execute(ADD_CALLBACK, [workspaces.neighbour["app.workspaces"], "foreign", NOW])

    def overtake(other: psycopg.Connection) -> None:
        other.execute(ADD_CALLBACK, [workspaces.id, "new", None])
        other.execute("UPDATE everlytic.callback_events SET applied_at = now() WHERE event_key = 'just applied'")

    overtaking = await overtaken(
        workspaces,
        overtake,
        lambda session: repository.erase_in(session, workspaces.id, "callback events", TRACES),
        commits_first=True,
    )
    assert overtaking.result == 2
    assert overtaking.rows == {CALLBACKS: {f"{workspaces.id} {key}" for key in ("applied", "just applied")}}


@pytest.mark.fences("api.people.erasure.repository:_DELIVERIES")
async def test_only_applied_deliveries_are_emptied(two_workspaces: TwoWorkspaces) -> None:
    """A webhook's body about an erased person is emptied once it is applied; until then it is counted and kept."""
    workspaces = two_workspaces

    body = b"to ann@lead.example"
    workspaces.add(DELIVERIES, body=body)
    workspaces.add(DELIVERIES, body=b"to bo@lead.example", applied_at=NOW)
    workspaces.add(DELIVERIES, workspaces.neighbour, body=body, applied_at=NOW)
    applied = workspaces.add(DELIVERIES, body=body, applied_at=NOW)
    just_applied = workspaces.add(DELIVERIES, body=body)
    overtaking = await overtaken(
        workspaces,
        lambda other: other.execute(
            "UPDATE everlytic.webhook_deliveries SET applied_at = now() WHERE id = %s", [just_applied]
        ),
        lambda session: repository.erase_in(session, workspaces.id, "webhook deliveries", TRACES),
        commits_first=True,
    )
    assert overtaking.result == 1
    assert overtaking.rows == {DELIVERIES: {applied, just_applied}}
