from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.imports.repository import outcomes
from api.imports.repository import preview as repository
from api.imports.repository.outcomes import Outcome, Plan
from database.models import DuplicatePolicy
from tests.acting import insert_row, run_act
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

IMPORTS, LEADS, ROWS = "app.lead_imports", "app.leads", "app.lead_import_rows"
BLOCKS = ((1, 9), (10, 20), (21, 30))


def add_rows(workspaces: TwoWorkspaces, import_id: UUID) -> dict[str, UUID]:
    """Insert rows of each outcome and the leads that they know; returns the leads by name."""
    rows: dict[int, tuple[str | None, int | None]] = {
        9: ("before", None),
        10: ("new", None),
        11: (None, None),
        12: ("changed", None),
        13: ("same", None),
        14: ("deleted", None),
        15: ("new", 10),
        16: ("suppressed", None),
        17: ("changed", 12),
        20: ("last", None),
        21: ("after", None),
    }
    for line, (name, first_line) in rows.items():
        email, problem = (f"{name}@x.co", None) if name else (None, "no address")
        values = {"line_number": line, "email": email, "problem": problem, "first_line": first_line}
        insert_row(workspaces, ROWS, import_id=import_id, **values)
    insert_row(workspaces, ROWS, import_id=workspaces.add(IMPORTS), line_number=18, email="other@x.co")
    names = ("other", "before", "changed", "suppressed", "last", "after")
    leads = {
        name: workspaces.add(LEADS, email=f"{name}@x.co", list_id=workspaces.ids["app.lead_lists"]) for name in names
    }
    same: dict[str, Any] = {"email": "same@x.co", "list_id": workspaces.ids["app.lead_lists"], "company": "File 13"}
    leads["same"] = workspaces.add(LEADS, **same)
    workspaces.add(LEADS, email="deleted@x.co", deleted_at=NOW)
    workspaces.add(LEADS, workspaces.neighbour, email="new@x.co")
    (value_hash,) = workspaces.owner.execute(
        "SELECT app.suppression_hash(%s, 'suppressed@x.co')", [workspaces.account_id]
    ).fetchone() or ("",)
    workspaces.add("app.suppressions", kind="email", reason="manual", value_hash=value_hash)
    return leads


async def land(session: AsyncSession, *lines: int) -> None:
    """Bring in the values of rows, each with a company that names its line."""
    await outcomes.copy_values(session, "".join(f'{line},"","",File {line},"",,,{{}}\n' for line in lines).encode())


async def test_rows_are_judged_beside_the_leads_they_know(two_workspaces: TwoWorkspaces) -> None:
    """Each row of the file, and none of another, comes to its outcome; only rows of known leads are compared, each
    block by itself, and what is shown of a row is the row's own.
    """
    workspaces = two_workspaces
    import_id = workspaces.add(IMPORTS)
    leads = add_rows(workspaces, import_id)
    plan = Plan(workspaces.id, import_id, import_id, None, DuplicatePolicy.FILL, None)

    async def judge(session: AsyncSession) -> dict[str, Any]:
        await repository.store_outcomes(session, plan)
        await outcomes.create_values_table(session)
        known = [await repository.list_known_lines(session, lines) for lines in BLOCKS]
        compared = []
        for lines in BLOCKS:
            # The values of the other blocks' rows are there as well.
            await land(session, *(line for of_block in known for line in of_block))
            await repository.compare_block(session, plan, lines)
            compared.append(sorted(await repository.list_known_lines(session, (1, 30))))
        firsts = {outcome: await repository.list_first_lines(session, plan, outcome, 2) for outcome in Outcome}
        await land(session, 12, 10)
        return {
            "known": [sorted(lines) for lines in known],
            "left": compared,
            "counts": await repository.count_outcomes(session),
            "first": {outcome: list(lines) for outcome, lines in firsts.items()},
            "rows": sorted(tuple(row) for row in await repository.find_rows(session, plan, [10, 11, 12, 14, 15, 18])),
            "differences": {
                line: (before["company"], after["company"])
                for line, (before, after) in (await repository.find_differences(session, plan)).items()
            },
        }

    acted = await run_act(workspaces, judge)
    assert acted.result["known"] == [[9], [12, 13, 20], [21]]
    assert acted.result["left"] == [[12, 13, 20, 21], [21], []]
    assert acted.result["counts"] == {
        Outcome.UPDATED: 4,
        Outcome.DUPLICATE_IN_FILE: 2,
        Outcome.DUPLICATE_IN_WORKSPACE: 1,
        Outcome.SUPPRESSED: 1,
        Outcome.INVALID: 1,
    }
    assert acted.result["first"] == {
        Outcome.NEW: [10, 14],
        Outcome.UPDATED: [9, 12],
        Outcome.DUPLICATE_IN_FILE: [15, 17],
        Outcome.DUPLICATE_IN_WORKSPACE: [13],
        Outcome.SUPPRESSED: [16],
        Outcome.INVALID: [11],
    }
    assert acted.result["rows"] == [
        (10, "new@x.co", None, None, None, False, None),
        (11, None, "no address", None, None, False, None),
        (12, "changed@x.co", None, None, None, False, leads["changed"]),
        (14, "deleted@x.co", None, None, None, False, None),
        (15, "new@x.co", None, 10, None, False, None),
    ]
    assert acted.result["differences"] == {12: ("", "File 12")}
    assert acted.changes == {}
