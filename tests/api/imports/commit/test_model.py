from collections import Counter
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from api.http.resources import Services
from tests.api.importing import OUTCOMES, Tables, Worker, counts
from tests.api.imports.commit.worlds import FIELDS, World, as_json, build, expected, upload, worlds
from tests.api.running import RunJobs

pytestmark = pytest.mark.anyio


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds)
async def test_preview_commit_and_model_agree(
    app_client: httpx.AsyncClient, run_jobs: RunJobs, services: Services, tables: Tables, world: World
) -> None:
    """Whatever is known and whatever the file holds: preview, commit and a row by row reckoning come to the same."""
    imports = await build(app_client, run_jobs, world)
    outcomes, leads = expected(world)
    made = await upload(imports, world)

    before = await imports.preview(made)
    assert counts(before) == Counter(outcomes)
    assert {name: [row["lineNumber"] for row in before["samples"][name]] for name in OUTCOMES} == {
        name: [line for line, outcome in enumerate(outcomes, start=2) if outcome == name][:10] for name in OUTCOMES
    }

    await imports.start(made, "commit")
    workspace = imports.base.rpartition("/")[2]
    await Worker(services, UUID(workspace)).commit(made)
    done = await imports.get(f"imports/{made['id']}")
    assert (done["state"], counts(done)) == ("committed", Counter(outcomes))
    found = {
        email: as_json(
            {name: lead[name] for name in ("email", *FIELDS, "customFields")} | {"isListed": bool(lead["listId"])}
        )
        for email, lead in (await imports.leads()).items()
    }
    assert found == {email: as_json(lead) for email, lead in leads.items()}
    assert sum(tables.lists(workspace).values()) == sum(lead["isListed"] for lead in leads.values())
