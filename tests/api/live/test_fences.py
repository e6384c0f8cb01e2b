import psycopg
import pytest

from api.live import repository
from database.roles import ENGINE_ROLE
from tests.overtaking import overtaken
from tests.tables import snapshot
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio


@pytest.mark.fences("api.live.repository:_PRUNE")
async def test_only_old_changes_are_pruned(two_workspaces: TwoWorkspaces) -> None:
    """Pruning deletes changes older than a time, and none that is newer or was updated meanwhile."""
    workspaces = two_workspaces
    workspaces.owner.execute("TRUNCATE app.changes")
    insert = (
        "INSERT INTO app.changes (workspace_id, table_name, changed_at)"
        " VALUES (%s, %s, now() - make_interval(secs => %s))"
    )
    for name, seconds in (("moved", 120), ("old", 61), ("young", 59)):
        workspaces.owner.execute(insert, [workspaces.id, name, seconds])

    def renew(other: psycopg.Connection) -> None:
        other.execute("UPDATE app.changes SET changed_at = now() WHERE table_name = 'moved'")

    await overtaken(workspaces, renew, lambda session: repository.prune_changes(session, 60), role=ENGINE_ROLE)
    left = snapshot(workspaces.url)["app.changes"].values()
    assert sorted(row["table_name"] for row in left) == ["moved", "young"]
