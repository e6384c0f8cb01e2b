from collections import Counter
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from api.http.resources import Services
from tests.api.importing import Tables, Worker
from tests.api.imports.commit.worlds import World, build, expected, upload, worlds
from tests.api.running import RunJobs

pytestmark = pytest.mark.anyio


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds)
async def test_commit_and_undo_change_nothing(
    app_client: httpx.AsyncClient, run_jobs: RunJobs, services: Services, tables: Tables, world: World
) -> None:
    """Whatever is known and whatever the file holds: after its commit and undo every lead and list is as it was."""
    imports = await build(app_client, run_jobs, world)
    workspace = imports.base.rpartition("/")[2]
    worker = Worker(services, UUID(workspace))
    made = await upload(imports, world)
    before = (tables.leads(workspace), tables.lists(workspace))
    await imports.start(made, "commit")
    await worker.commit(made)
    await imports.start(made, "undo")
    await worker.undo(made)
    assert (tables.leads(workspace), tables.lists(workspace)) == before
    undone = await imports.get(f"imports/{made['id']}")
    outcomes = Counter(expected(world)[0])
    assert (undone["removedCount"], undone["restoredCount"]) == (outcomes["new"], outcomes["updated"])
    assert (undone["state"], undone["keptCount"]) == ("undone", 0)
