from typing import Any
from unittest.mock import ANY
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from api.imports.repository import undo as repository
from api.imports.repository import uploads as imports
from api.imports.repository.undo import UndoneBlock
from domain.lead_import import imported_lead_id
from tests.acting import FIRST_PAGE, run_act
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

IMPORTS, LEADS, LISTS, CHANGES = "app.lead_imports", "app.leads", "app.lead_lists", "app.lead_import_changes"
FIRST = UUID("01a00000-0000-7000-8000-000000000000")
LINES = (10, 20)
BEFORE: dict[str, Any] = {
    **dict.fromkeys(("first_name", "last_name", "company", "role"), "before"),
    **dict.fromkeys(("segment", "timezone")),
    "custom_fields": {},
}


class Leads:
    """Adds leads that an import made or changed, by names that say what sets them apart."""

    def __init__(self, workspaces: TwoWorkspaces) -> None:
        self._workspaces = workspaces
        self.ids: dict[str, UUID] = {}
        self.import_id = workspaces.add(IMPORTS, state="undoing", first_lead_id=FIRST)
        self.other_import_id = workspaces.add(IMPORTS, state="undoing", first_lead_id=UUID(int=FIRST.int + 2**40))

    def add_new(self, name: str, line: int, **values: Any) -> UUID:
        """Insert a lead that a line of the file became."""
        self.ids[name] = self._workspaces.add(LEADS, id=imported_lead_id(FIRST, line), email=f"{name}@x.co", **values)
        return self.ids[name]

    def add_changed(self, name: str, line: int, *, import_id: UUID | None = None, **values: Any) -> UUID:
        """Insert a lead that a line of a file changed, whose company was `before` until then."""
        before = BEFORE | {"list_id": values.pop("list_before", None)}
        kept_because = values.pop("kept_because", None)
        lead_id = self._workspaces.add(LEADS, email=f"{name}@x.co", **values)
        self._workspaces.owner.execute(
            "INSERT INTO app.lead_import_changes"
            " (workspace_id, import_id, line_number, lead_id, before, changed_at, kept_because)"
            " SELECT workspace_id, %s, %s, id, %s, updated_at, %s FROM app.leads WHERE id = %s",
            [import_id or self.import_id, line, None if kept_because else Jsonb(before), kept_because, lead_id],
        )
        self.ids[name] = lead_id
        return lead_id

    def add_draft(self, name: str) -> UUID:
        """Insert an enrollment of a lead and a draft for it; returns the draft's id."""
        lead_id = self.ids[name]
        enrollment_id = self._workspaces.add("app.lead_enrollments", lead_id=lead_id)
        return self._workspaces.add("app.email_drafts", lead_id=lead_id, enrollment_id=enrollment_id)

    def add_attempt(self, draft_id: UUID) -> None:
        """Insert an attempt to send a draft."""
        self._workspaces.owner.execute(
            "INSERT INTO app.send_attempts (workspace_id, draft_id, claimed_at) VALUES (%s, %s, now())",
            [self._workspaces.id, draft_id],
        )


async def test_a_block_is_taken_back_and_nothing_beside_it(two_workspaces: TwoWorkspaces) -> None:
    """Leads of the first and the last line of a block are locked and as they were; none is of another line or import,
    deleted, or kept by an earlier undo. Mails to others and unsent drafts keep no lead.
    """
    workspaces = two_workspaces
    leads = Leads(workspaces)
    list_id = workspaces.add(LISTS)
    deleted: dict[str, Any] = {"deleted_at": "2026-03-01"}
    leads.add_new("line before", 9)
    leads.add_new("first line", 10, list_id=list_id)
    leads.add_new("deleted", 11, **deleted)
    leads.add_new("mailed", 12)
    leads.add_new("last line", 20)
    leads.add_new("line after", 21)
    leads.add_changed("changed on the line before", 9)
    leads.add_changed("changed first", 13, list_id=list_id)
    leads.add_changed("changed last", 19, list_id=list_id, list_before=str(list_id))
    leads.add_changed("changed and deleted", 14, **deleted)
    leads.add_changed("kept before", 15, kept_because="changed")
    leads.add_changed("changed on the line after", 21)
    leads.add_changed("changed by another import", 16, import_id=leads.other_import_id)
    leads.add_attempt(leads.add_draft("mailed"))
    leads.add_draft("last line")

    async def take_back(session: AsyncSession) -> UndoneBlock:
        lead_import = await imports.find_import(session, workspaces.id, leads.import_id)
        assert lead_import is not None
        return await repository.undo_block(session, lead_import, LINES)

    acted = await run_act(workspaces, take_back)
    taken_back = acted.result
    assert (taken_back.removed, taken_back.restored, taken_back.kept) == (2, 2, 1)
    assert taken_back.deltas == {list_id: -2}
    assert [str(lead_id) for lead_id in taken_back.enrolled] == [str(leads.ids["last line"])]
    removed, restored = ("first line", "last line"), ("changed first", "changed last")
    untouched = ("deleted", "mailed", "changed and deleted", "kept before")
    assert acted.locked == {leads.ids[name] for name in (*removed, *restored, *untouched)}
    assert acted.rows == {
        LEADS: {str(leads.ids[name]) for name in (*removed, *restored)},
        CHANGES: {f"{workspaces.id} {leads.import_id} 12"},
    }
    texts = dict.fromkeys(("first_name", "last_name", "company", "role"), ("", "before"))
    assert acted.columns(LEADS, leads.ids["first line"]) == {"deleted_at": (None, ANY)}
    assert acted.columns(LEADS, leads.ids["changed first"]) == {**texts, "list_id": (str(list_id), None)}
    assert acted.columns(LEADS, leads.ids["changed last"]) == texts


async def test_the_leads_that_an_undo_kept_are_listed(two_workspaces: TwoWorkspaces) -> None:
    """Listed is each lead that this undo kept, with its own line and reason; none of another import or restored."""
    workspaces = two_workspaces
    leads = Leads(workspaces)
    kept = leads.add_changed("kept", 15, kept_because="changed")
    leads.add_changed("restored", 16)
    leads.add_changed("kept by another", 17, import_id=leads.other_import_id, kept_because="changed")
    acted = await run_act(
        workspaces, lambda session: repository.list_kept_leads(session, workspaces.id, leads.import_id, FIRST_PAGE)
    )
    assert [tuple(row) for row in acted.result] == [(kept, "kept@x.co", 15, "changed")]
    assert (acted.changes, acted.locked) == ({}, set())
