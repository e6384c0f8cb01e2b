from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from api.imports.repository import commit as repository
from api.imports.repository import outcomes
from api.imports.repository.commit import WrittenBlock
from api.imports.repository.outcomes import Outcome, Plan
from database.models import DuplicatePolicy
from domain.lead_import import imported_lead_id
from tests.acting import insert_row, run_act
from tests.tables import ABSENT
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

IMPORTS, LEADS, LISTS, CHANGES = "app.lead_imports", "app.leads", "app.lead_lists", "app.lead_import_changes"
FIRST = UUID("01a00000-0000-7000-8000-000000000000")
LINES = (10, 20)


def add_row(workspaces: TwoWorkspaces, import_id: UUID, line: int, email: str | None) -> None:
    """Insert a row of a file."""
    workspaces.owner.execute(
        "INSERT INTO app.lead_import_rows (workspace_id, import_id, line_number, email) VALUES (%s, %s, %s, %s)",
        [workspaces.id, import_id, line, email],
    )


@pytest.mark.parametrize("policy", DuplicatePolicy)
async def test_a_block_is_written_and_nothing_beside_it(two_workspaces: TwoWorkspaces, policy: DuplicatePolicy) -> None:
    """Rows from the first to the last line of a block become or change leads, with their own values; no row of another
    line or import does. The leads they know are locked, and no others; a deleted lead's address is free.
    """
    workspaces = two_workspaces
    import_id, other_import_id = workspaces.add(IMPORTS), workspaces.add(IMPORTS)
    list_id, other_list_id = workspaces.add(LISTS), workspaces.add(LISTS)
    emails = {9: "before", 10: "first", 11: None, 12: "unlisted", 13: "listed", 14: "same", 15: "deleted", 20: "last"}
    for line, name in {**emails, 21: "after"}.items():
        add_row(workspaces, import_id, line, f"{name}@x.co" if name else None)
    add_row(workspaces, other_import_id, 16, "other@x.co")
    # All were changed in one moment, so that each is told by its id alone.
    known = {
        name: workspaces.add(LEADS, email=f"{name}@x.co", updated_at=NOW) for name in ("before", "other", "unlisted")
    }
    known["listed"] = workspaces.add(LEADS, email="listed@x.co", list_id=other_list_id, updated_at=NOW)
    known["same"] = workspaces.add(LEADS, email="same@x.co", list_id=other_list_id, company="File 14")
    workspaces.add(LEADS, email="deleted@x.co", deleted_at=NOW, company="Gone")
    workspaces.add(LEADS, workspaces.neighbour, email="first@x.co")
    plan = Plan(workspaces.id, import_id, list_id, FIRST, policy, "SMB")

    async def write(session: AsyncSession) -> WrittenBlock:
        await outcomes.create_values_table(session)
        lines = "".join(f'{line},"","",File {line},"",,,{{}}\n' for line in range(9, 22))
        await outcomes.copy_values(session, lines.encode())
        return await repository.write_block(session, plan, LINES)

    acted = await run_act(workspaces, write)
    changed = {} if policy is DuplicatePolicy.SKIP else {"unlisted": 12, "listed": 13}
    new = {10: "first", 15: "deleted", 20: "last"}
    assert acted.result.counts == {
        Outcome.NEW: 3,
        Outcome.INVALID: 1,
        Outcome.DUPLICATE_IN_WORKSPACE: 3 - len(changed),
        **({Outcome.UPDATED: 2} if changed else {}),
    }
    assert acted.result.joined == (4 if changed else 3)
    assert acted.locked == {known[name] for name in ("unlisted", "listed", "same")}
    came = {line: imported_lead_id(FIRST, line) for line in new}
    assert acted.rows == {LEADS: {str(id_) for id_ in (*came.values(), *(known[name] for name in changed))}} | (
        {CHANGES: {f"{workspaces.id} {import_id} {line}" for line in changed.values()}} if changed else {}
    )
    for line, lead_id in came.items():
        row = {name: after for name, (_, after) in acted.columns(LEADS, lead_id).items()}
        assert (row["email"], row["company"], row["segment"]) == (f"{new[line]}@x.co", f"File {line}", "SMB")
        assert row["list_id"] == str(list_id)
    for name, line in changed.items():
        joins = {"list_id": (None, str(list_id))} if name == "unlisted" else {}
        assert acted.columns(LEADS, known[name]) == {"company": ("", f"File {line}"), **joins}
        change = acted.changes[CHANGES][f"{workspaces.id} {import_id} {line}"]
        assert (change["lead_id"], change["kept_because"]) == ((ABSENT, str(known[name])), (ABSENT, None))
        assert change["before"][1]["list_id"] == (None if name == "unlisted" else str(other_list_id))


async def test_a_new_commit_forgets_what_the_import_changed(two_workspaces: TwoWorkspaces) -> None:
    """What an earlier commit of the import changed is forgotten; what another import changed is not."""
    workspaces = two_workspaces
    mine = workspaces.add(IMPORTS)
    values: dict[str, Any] = {"lead_id": workspaces.ids[LEADS], "before": Jsonb({})}
    for line in (1, 2):
        insert_row(workspaces, CHANGES, import_id=mine, line_number=line, **values)
    insert_row(workspaces, CHANGES, import_id=workspaces.add(IMPORTS), line_number=1, **values)
    plan = Plan(workspaces.id, mine, None, None, DuplicatePolicy.SKIP, None)
    acted = await run_act(workspaces, lambda session: repository.delete_changes(session, plan))
    assert acted.rows == {CHANGES: {f"{workspaces.id} {mine} {line}" for line in (1, 2)}}
