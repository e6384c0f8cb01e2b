"""Every event in every state of an import: what people ask for, what the worker does, and the walks between them."""

from datetime import timedelta
from typing import Any
from unittest.mock import ANY
from uuid import UUID

import httpx
import pytest

from api.imports import commit as commits
from api.imports import service as files
from tests.api.importing import Imports, Worker, in_blocks
from tests.api.states import NOW, Row, States, added, moment
from tests.lifecycles import IMPORT, REFUSED, results_of

pytestmark = pytest.mark.anyio

MOVES = results_of(IMPORT)
STATES = tuple(dict.fromkeys(state for state, _ in MOVES))
ROWS = [[f"lead{block}{row}@lead.example" for row in range(5)] for block in range(2)]
FILE = in_blocks("Email", *ROWS)
SMALL_FILE = "\n".join(["Email,Padding", *(f"{email},x" for email in ROWS[0])]) + "\n"
COLUMNS: Row = {"columns": [{"position": 0, "target": "email"}, {"position": 1, "target": "ignore"}]}
EVENTS = {"mapping": "mapping_changed", "commit": "commit_started", "undo": "undo_started"}
JOBS = {"commit": "commit_import", "undo": "undo_import"}
DONE_BEFORE: Row = {"processed_count": 5, "next_block": 1, "new_count": 5, "invalid_count": 0, "updated_count": 0}
KEPT = timedelta(days=30)


async def request(imports: Imports, made: Row, what: str) -> httpx.Response:
    """Ask for a change of the mapping, a commit or an undo."""
    url = f"{imports.base}/imports/{made['id']}/{what}"
    return await (imports.client.put(url, json=COLUMNS) if what == "mapping" else imports.client.post(url))


async def in_state(states: States, imports: Imports, state: str) -> Row:
    """Upload a file whose rows have been dealt with unless it is only mapped, and put its import into a state."""
    made = await imports.uploaded(SMALL_FILE)
    values = {} if state == "mapped" else DONE_BEFORE
    first_lead_id = None if state == "mapped" else "01900000-0000-7000-8000-000000000000"
    error = "it failed" if state == "failed" else None
    states.put("lead_imports", made["id"], state=state, first_lead_id=first_lead_id, error=error, **values)
    return made


@pytest.mark.parametrize("what", EVENTS)
async def test_what_people_may_ask_for(states: States, imports: Imports, what: str) -> None:
    """In each state a change of the mapping, a commit or an undo begins as the table says, once, with its one job.

    Else the answer is 409 and no row of any table changes. What failed goes on where it stopped; all else begins anew.
    """
    for state in STATES:
        made = await in_state(states, imports, state)
        states.look()
        target = MOVES[state, EVENTS[what]]

        response = await request(imports, made, what)

        changed = states.changed()
        if target == REFUSED:
            assert (response.status_code, response.json()["code"]) == (409, "invalid_transition"), state
            assert changed == {}, state
            continue
        assert response.is_success, response.text
        (after,) = (row for key, row in states.seen["app.lead_imports"].items() if key == made["id"])
        assert (after["state"], after["error"]) == (target, None)
        jobs = [(job["job_type"], job["payload"], job["run_at"]) for job in added(changed, "scheduled_jobs")]
        assert jobs == ([(JOBS[what], {"importId": made["id"]}, moment(NOW))] if what in JOBS else [])
        progress = {name: after[name] for name in DONE_BEFORE}
        if what == "commit":
            assert progress == (DONE_BEFORE if state == "failed" else dict.fromkeys(DONE_BEFORE, 0))
            assert None not in (after["list_id"], after["first_lead_id"])
        if what == "undo":
            assert progress == DONE_BEFORE | {"processed_count": 0, "next_block": 0}
            assert (after["removed_count"], after["restored_count"], after["kept_count"]) == (0, 0, 0)
        again = await request(imports, made, what)
        if MOVES[target, EVENTS[what]] == REFUSED:
            assert (again.status_code, states.changed()) == (409, {})


async def test_nothing_begins_once_the_file_is_gone(states: States, imports: Imports) -> None:
    """From the moment at which it is kept no longer, a file is neither mapped, committed nor undone, in any state."""
    for state in STATES:
        made = await in_state(states, imports, state)
        for expires_at in (NOW, NOW - timedelta(microseconds=1)):
            states.put("lead_imports", made["id"], expires_at=expires_at)
            states.look()
            for what in EVENTS:
                response = await request(imports, made, what)
                assert (response.status_code, states.changed()) == (409, {}), (state, what)
        states.put("lead_imports", made["id"], expires_at=NOW + timedelta(microseconds=1))
        for what in EVENTS:
            states.put("lead_imports", made["id"], state=state)
            is_legal = MOVES[state, EVENTS[what]] != REFUSED
            assert (await request(imports, made, what)).is_success is is_legal, (state, what)


async def test_the_worker_moves_only_what_is_under_way(states: States, imports: Imports, worker: Worker) -> None:
    """A commit, its failure or an undo that comes to an import in another state does nothing at all."""
    workspace_id = UUID(states.workspace_id)
    for state in STATES:
        made = await in_state(states, imports, state)
        states.look()
        if state != "committing":
            assert await worker.commit_block(made) is False
            assert states.changed() == {}, state
        if state != "undoing":
            assert await worker.undo_block(made) is False
            assert states.changed() == {}, state
        async with states.session() as session:
            await commits.fail_import(session, workspace_id, UUID(made["id"]), "no space")
        failed = {"state": (state, "failed"), "error": (None, "no space"), "updated_at": ANY}
        is_legal = MOVES[state, "commit_failed"] != REFUSED
        assert states.changed() == ({"app.lead_imports": {made["id"]: failed}} if is_legal else {}), state


async def test_a_file_goes_when_its_time_is_over_and_nothing_is_under_way(states: States, imports: Imports) -> None:
    """A file whose time is over is deleted; while a worker has it, it is looked at again an hour later."""
    workspace_id = UUID(states.workspace_id)
    for state in STATES:
        made = await in_state(states, imports, state)
        for expires_at, is_over in ((NOW + timedelta(microseconds=1), False), (NOW, True)):
            states.put("lead_imports", made["id"], expires_at=expires_at)
            states.look()
            async with states.session() as session:
                until = await files.expire_import(session, workspace_id, UUID(made["id"]), NOW)
            changed = states.changed()
            if state in {"committing", "undoing"}:
                assert (until, changed) == (NOW + timedelta(hours=1), {}), state
            elif not is_over:
                assert (until, changed) == (expires_at, {}), state
            else:
                assert until is None
                assert {table: len(rows) for table, rows in changed.items()} == {
                    "app.lead_import_blocks": 1,
                    "app.lead_import_rows": 5,
                }
    states.look()
    async with states.session() as session:
        assert await files.expire_import(session, workspace_id, UUID(int=1), NOW) is None
    assert states.changed() == {}


WALKS: dict[str, tuple[str, ...]] = {
    "committed": ("commit", "block", "block", "end"),
    "failed, and gone on with": ("commit", "block", "fail", "commit", "block", "end"),
    "failed before any block": ("commit", "fail", "commit", "block", "block", "end"),
    "failed twice": ("commit", "block", "fail", "commit", "fail", "commit", "block", "end"),
    "failed and undone": ("commit", "block", "fail", "undo", "block", "block", "end"),
    "failed, undone and committed": (
        *("commit", "block", "fail", "undo", "block", "block", "end"),
        *("commit", "block", "block", "end"),
    ),
    "undone and committed again": (
        *("commit", "block", "block", "end", "undo", "block", "block", "end"),
        *("mapping", "commit", "block", "block", "end"),
    ),
    "undone, failed at the second try and undone again": (
        *("commit", "block", "block", "end", "undo", "block", "block", "end"),
        *("commit", "block", "fail", "undo", "block", "block", "end"),
    ),
}
"""Walks through the lifecycle: what people ask for, each block and the end that the worker does, and failures."""


def after_walk(walk: tuple[str, ...]) -> Row:
    """Return what an import and the leads must be after a walk, as record 12 says."""
    state, blocks, leads = "mapped", 0, set[str]()
    removed: int | None = None
    for step in walk:
        match step:
            case "mapping":
                state = MOVES[state, "mapping_changed"]
            case "commit":
                blocks, removed = (blocks if state == "failed" else 0), (removed if state == "failed" else None)
                state = MOVES[state, "commit_started"]
            case "undo":
                state, blocks, removed = MOVES[state, "undo_started"], 0, 0
            case "fail":
                state = MOVES[state, "commit_failed"]
            case "end":
                state = MOVES[state, "commit_done" if state == "committing" else "undo_done"]
            case _:
                block = set(ROWS[blocks])
                if state == "undoing":
                    removed = (removed or 0) + len(leads & block)
                leads = leads | block if state == "committing" else leads - block
                blocks += 1
    return {"state": state, "leads": leads, "removedCount": removed, "processedCount": 5 * blocks}


@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
async def test_walks_through_the_lifecycle(
    states: States, imports: Imports, worker: Worker, walk: tuple[str, ...]
) -> None:
    """After each walk the import's state and counts and the workspace's leads are what the rules make of it.

    A commit that failed goes on behind its last block; an undo takes back exactly what was written; a second commit
    writes all of it again.
    """
    made = await imports.uploaded(FILE)
    done = 0
    for number, step in enumerate(walk, start=1):
        match step:
            case "mapping" | "commit" | "undo":
                response = await request(imports, made, step)
                assert response.is_success, (walk[:number], response.text)
            case "fail":
                async with states.session() as session:
                    await commits.fail_import(session, UUID(states.workspace_id), UUID(made["id"]), "no space")
            case _:
                is_commit = (await state_of(imports, made)) == "committing"
                is_going = await (worker.commit_block(made) if is_commit else worker.undo_block(made))
                assert is_going is (step == "block"), walk[:number]
        expected = after_walk(walk[:number])
        assert await state_of(imports, made) == expected["state"], walk[:number]
        done = number
    expected = after_walk(walk[:done])
    shown: dict[str, Any] = await imports.get(f"imports/{made['id']}")
    assert {name: shown[name] for name in ("state", "removedCount", "processedCount")} == {
        name: expected[name] for name in ("state", "removedCount", "processedCount")
    }
    assert set(await imports.leads()) == expected["leads"]
    row = states.row("lead_imports", made["id"])
    is_committed, is_undone = expected["state"] == "committed", expected["state"] == "undone"
    assert not is_committed or (row["committed_at"], row["expires_at"], row["undone_at"]) == (NOW, NOW + KEPT, None)
    assert not is_undone or row["undone_at"] == NOW
    counts = [lead_list["leadCount"] for lead_list in (await imports.get("lead-lists"))["items"]]
    assert [count for count in counts if count] == ([len(expected["leads"])] if expected["leads"] else [])


async def state_of(imports: Imports, made: Row) -> str:
    """Return the state of an import as it is shown."""
    state: str = (await imports.get(f"imports/{made['id']}"))["state"]
    return state
