from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from api.imports.repository import undo as repository
from api.imports.repository import uploads as imports
from api.imports.repository.undo import UndoneBlock
from domain.lead_import import imported_lead_id
from tests.overtaking import overtaken, setting
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

IMPORTS, LEADS, CHANGES = "app.lead_imports", "app.leads", "app.lead_import_changes"
FIRST = UUID("01a00000-0000-7000-8000-000000000000")
LINES = (1, 9)
BEFORE: dict[str, Any] = {
    **dict.fromkeys(("first_name", "last_name", "company", "role"), "before"),
    **dict.fromkeys(("segment", "timezone", "list_id")),
    "custom_fields": {},
}


def add_mailed(connection: psycopg.Connection, draft_id: UUID, workspace_id: UUID) -> None:
    """Insert the attempt to send a mail to a lead."""
    connection.execute(
        "INSERT INTO app.send_attempts (workspace_id, draft_id, claimed_at) VALUES (%s, %s, now())",
        [workspace_id, draft_id],
    )


def add_draft_for(workspaces: TwoWorkspaces, lead_id: UUID) -> UUID:
    """Insert an enrollment of a lead and a draft for it."""
    enrollment_id = workspaces.add("app.lead_enrollments", lead_id=lead_id)
    owners: dict[str, Any] = {
        "lead_id": lead_id,
        "enrollment_id": enrollment_id,
        "sequence_id": workspaces.ids["app.sequences"],
    }
    return workspaces.add("app.email_drafts", **owners)


@pytest.mark.fences("api.imports.repository.undo:_UNDO")
@pytest.mark.parametrize("was_new", [True, False])
async def test_only_untouched_leads_are_undone(two_workspaces: TwoWorkspaces, *, was_new: bool) -> None:
    """An undo removes or restores leads, and leaves those that were changed, deleted or mailed meanwhile."""
    workspaces = two_workspaces
    import_id = workspaces.add(IMPORTS, state="undoing", first_lead_id=FIRST)
    names = ("changed", "deleted", "mailed", "mailed before", "untouched")
    leads: dict[str, UUID] = {}
    for line, name in enumerate(names, start=1):
        lead_id = imported_lead_id(FIRST, line) if was_new else uuid4()
        leads[name] = workspaces.add(LEADS, id=lead_id, email=f"{line}@lead.example")
        if not was_new:
            workspaces.owner.execute(
                "INSERT INTO app.lead_import_changes"
                " (workspace_id, import_id, line_number, lead_id, before, changed_at)"
                " SELECT workspace_id, %s, %s, id, %s, updated_at FROM app.leads WHERE id = %s",
                [import_id, line, Jsonb(BEFORE), lead_id],
            )
    mailed, mailed_before = (add_draft_for(workspaces, leads[name]) for name in ("mailed", "mailed before"))
    add_mailed(workspaces.owner, mailed_before, workspaces.id)
    workspaces.owner.execute(
        "UPDATE app.send_attempts SET created_at = created_at - interval '1 hour' WHERE draft_id = %s", [mailed_before]
    )

    def overtake(other: psycopg.Connection) -> None:
        setting(LEADS, {leads["changed"]: {"company": "Acme"}, leads["deleted"]: {"deleted_at": NOW}})(other)
        add_mailed(other, mailed, workspaces.id)
        # In the moment of the commit already: that is too early to be told apart.
        other.execute(
            "UPDATE app.send_attempts SET created_at = lead.created_at FROM app.leads AS lead"
            " WHERE draft_id = %s AND lead.id = %s",
            [mailed, leads["mailed"]],
        )

    async def take_back(session: AsyncSession) -> UndoneBlock:
        undone = await imports.find_import(session, workspaces.id, import_id)
        assert undone is not None
        return await repository.undo_block(session, undone, LINES)

    overtaking = await overtaken(workspaces, overtake, take_back)
    taken_back = {leads["mailed before"], leads["untouched"]}
    kept = {
        f"{workspaces.id} {import_id} {line}" for line, name in enumerate(names, 1) if name in {"changed", "mailed"}
    }
    counts = (overtaking.result.removed, overtaking.result.restored, overtaking.result.kept)
    assert counts == ((2, 0, 2) if was_new else (0, 2, 2))
    assert overtaking.rows == {LEADS: taken_back, CHANGES: kept}
    assert {row["kept_because"][1] for row in overtaking.changes[CHANGES].values()} == {"changed", "mailed"}
