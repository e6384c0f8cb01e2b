from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.api.importing import Imports, Tables, Worker, counts
from tests.business_clock import BUSINESS_NOW, business_now

pytestmark = pytest.mark.anyio

FILE = "Email,First Name\nann@example.com,Ann\nknown@example.com,Kim\nno address,Max\n"
KEPT = ("lead_import_blocks", "lead_import_rows", "lead_import_changes")


def let_time_pass(tables: Tables) -> None:
    """Make everything that is due at the end of the 30 days due a moment ago."""
    tables.run(f"UPDATE app.lead_imports SET expires_at = {BUSINESS_NOW} - interval '1 second'")
    tables.run(
        f"UPDATE app.scheduled_jobs SET run_at = {BUSINESS_NOW} - interval '1 second'"
        " WHERE job_type = 'expire_import' AND status = 'pending'"
    )


def kept(tables: Tables) -> dict[str, int]:
    """Return how many rows are kept of the files."""
    found = tables.counts()
    return {name: found[name] for name in KEPT}


async def refusals(imports: Imports, made: dict[str, Any]) -> set[str]:
    """Send every request that needs the file and return the errors; each must be refused as a conflict."""
    url = f"{imports.base}/imports/{made['id']}"
    columns = {"columns": [{"position": 0, "target": "email"}, {"position": 1, "target": "ignore"}]}
    answers = [await imports.client.get(f"{url}/preview"), await imports.client.get(f"{url}/errors.csv")]
    if made["state"] in {"mapped", "undone"}:
        answers += [await imports.request(made, "commit"), await imports.client.put(f"{url}/mapping", json=columns)]
    if made["state"] == "committed":
        answers += [await imports.request(made, "undo")]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(409, "conflict")}
    return {answer.json()["detail"] for answer in answers}


@pytest.mark.parametrize("state", ["mapped", "committed", "undone"])
async def test_the_file_goes_and_the_import_stays(imports: Imports, tables: Tables, state: str) -> None:
    """After 30 days the job takes the file; the import is still listed, and what needs the file says it is gone."""
    await imports.made("leads", {"email": "known@example.com"})
    made = await imports.uploaded(FILE)
    if state != "mapped":
        made = await imports.commit(made)
    if state == "undone":
        made = await imports.undo(made)
    leads = await imports.leads()
    assert all(kept(tables)[name] for name in KEPT[:2])
    let_time_pass(tables)
    await imports.run_jobs()

    assert kept(tables) == dict.fromkeys(KEPT, 0)
    (listed,) = (await imports.get("imports"))["items"]
    assert listed == await imports.get(f"imports/{made['id']}")
    assert (listed["state"], counts(listed)) == (state, counts(made))
    until = datetime.fromisoformat(listed["expiresAt"])
    assert await refusals(imports, made) == {f"The file was stored until {until:%d %B %Y}. Upload it again."}
    assert await imports.leads() == leads


async def test_late_job(imports: Imports, tables: Tables) -> None:
    """The 30 days are over when they are over, whether or not the job has come to it."""
    made = await imports.uploaded(FILE)
    tables.run(f"UPDATE app.lead_imports SET expires_at = {BUSINESS_NOW} - interval '1 second'")
    assert kept(tables)["lead_import_rows"] == 3
    await refusals(imports, made)


async def test_thirty_days_from_the_commit(imports: Imports, tables: Tables) -> None:
    """A commit makes the 30 days begin anew: the job that comes for the upload's leaves the file, and comes again."""
    begun = business_now()
    made = await imports.uploaded(FILE)
    assert begun <= datetime.fromisoformat(made["expiresAt"]) - timedelta(days=30) <= business_now()
    tables.run(f"UPDATE app.lead_imports SET expires_at = {BUSINESS_NOW} + interval '1 day'")
    done = await imports.commit(made)
    expires = datetime.fromisoformat(done["expiresAt"])
    assert expires == datetime.fromisoformat(done["committedAt"]) + timedelta(days=30)

    tables.run(f"UPDATE app.scheduled_jobs SET run_at = {BUSINESS_NOW} WHERE job_type = 'expire_import'")
    await imports.run_jobs()
    assert all(kept(tables)[name] for name in KEPT[:2])
    jobs = tables.run("SELECT status, run_at FROM app.scheduled_jobs WHERE job_type = 'expire_import'")
    assert jobs == [{"status": "pending", "run_at": expires}]


@pytest.mark.parametrize("what", ["commit", "undo"])
async def test_the_file_stays_while_a_worker_needs_it(
    imports: Imports, worker: Worker, tables: Tables, what: str
) -> None:
    """While a commit or an undo is under way the file stays, however old it is; afterwards the work is complete."""
    made = await imports.uploaded(FILE)
    if what == "undo":
        await imports.commit(made)
    await imports.start(made, what)
    tables.run("UPDATE app.scheduled_jobs SET status = 'cancelled' WHERE job_type <> 'expire_import'")
    before = kept(tables)
    let_time_pass(tables)
    await imports.run_jobs()
    assert kept(tables) == before
    (job,) = tables.run(
        f"SELECT status, run_at > {BUSINESS_NOW} AS waits FROM app.scheduled_jobs WHERE job_type = 'expire_import'"
    )
    assert job == {"status": "pending", "waits": True}
    await (worker.commit(made) if what == "commit" else worker.undo(made))
    assert len(await imports.leads()) == {"commit": 2, "undo": 0}[what]


async def test_a_deleted_workspace(imports: Imports, tables: Tables) -> None:
    """The job of an import whose workspace was deleted ends, and does not come back."""
    await imports.uploaded(FILE)
    await imports.client.delete(imports.base)
    let_time_pass(tables)
    await imports.run_jobs()
    assert tables.run("SELECT status FROM app.scheduled_jobs WHERE job_type = 'expire_import'") == [
        {"status": "cancelled"}
    ]
