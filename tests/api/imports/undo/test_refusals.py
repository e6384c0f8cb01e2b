import asyncio
from typing import Any
from uuid import UUID

import pytest

from api.http.resources import Services
from api.imports import commit as commits
from database.tenancy import Scope, transaction
from tests.api.importing import Imports, Tables, Worker
from tests.business_clock import BUSINESS_NOW

pytestmark = pytest.mark.anyio

FILE = "Email\nann@example.com\n"
COLUMNS: dict[str, Any] = {"columns": [{"position": 0, "target": "email"}]}
ALL = {"commit", "undo", "mapping"}


async def refused(imports: Imports, made: dict[str, Any], *actions: str) -> set[str]:
    """Request these actions and return those that the import's state does not allow; they change nothing."""
    before = await imports.get(f"imports/{made['id']}")
    found = set()
    for action in actions:
        url = f"{imports.base}/imports/{made['id']}/{action}"
        answer = await (imports.client.put(url, json=COLUMNS) if action == "mapping" else imports.client.post(url))
        if answer.status_code == 409:
            problem = answer.json()
            assert problem["code"] == "invalid_transition"
            found.add(action)
    assert await imports.get(f"imports/{made['id']}") == before
    return found


async def test_each_state_allows_what_makes_sense_in_it(
    imports: Imports, worker: Worker, services: Services, tables: Tables, workspace: str
) -> None:
    """Nothing is undone before a commit, while one is under way, or twice; nothing is committed or mapped twice."""
    made = await imports.uploaded(FILE)
    assert await refused(imports, made, "undo") == {"undo"}
    await imports.start(made, "commit")
    assert await refused(imports, made, *ALL) == ALL
    await worker.commit(made)
    assert await refused(imports, made, "commit", "mapping") == {"commit", "mapping"}
    await imports.start(made, "undo")
    assert await refused(imports, made, *ALL) == ALL
    await worker.undo(made)
    assert await refused(imports, made, "undo") == {"undo"}
    await imports.start(made, "commit")
    async with transaction(services.pool, Scope(workspace_id=worker.workspace_id)) as session:
        await commits.fail_import(session, worker.workspace_id, UUID(made["id"]), "because")
    # What was done under one mapping cannot be gone on with under another.
    assert await refused(imports, made, "mapping") == {"mapping"}
    assert tables.leads(workspace) == {}


async def test_after_thirty_days(imports: Imports, tables: Tables, workspace: str) -> None:
    """After 30 days a commit is permanent."""
    done = await imports.imported(FILE)
    tables.run(f"UPDATE app.lead_imports SET expires_at = {BUSINESS_NOW} - interval '1 second'")
    late = await imports.request(done, "undo")
    assert (late.status_code, late.json()["code"]) == (409, "conflict")
    assert (await imports.get(f"imports/{done['id']}"))["state"] == "committed"
    assert set(tables.leads(workspace)) == {"ann@example.com"}


async def test_on_the_last_day(imports: Imports, tables: Tables) -> None:
    """Until then it can be undone, and an undo that has begun comes to its end."""
    done = await imports.imported(FILE)
    tables.run(f"UPDATE app.lead_imports SET expires_at = {BUSINESS_NOW} + interval '1 minute'")
    await imports.start(done, "undo")
    tables.run(f"UPDATE app.lead_imports SET expires_at = {BUSINESS_NOW} - interval '1 second'")
    await imports.run_jobs()
    assert (await imports.get(f"imports/{done['id']}"))["state"] == "undone"
    assert await imports.leads() == {}


async def test_two_requests_at_once(imports: Imports, tables: Tables) -> None:
    """However often an undo is asked for, one job does it."""
    done = await imports.imported(FILE)
    answers = await asyncio.gather(*(imports.request(done, "undo") for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409]
    found = tables.run("SELECT count(*) AS jobs FROM app.scheduled_jobs WHERE job_type = 'undo_import'")
    assert found == [{"jobs": 1}]
