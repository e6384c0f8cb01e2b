from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.imports.repository import undo as repository
from api.imports.repository import uploads as imports
from tests.blocking import Blocking

pytestmark = pytest.mark.anyio


@pytest.mark.locks("api.imports.repository.undo:_LOCK_LEADS")
async def test_leads_that_are_taken_back_are_locked_by_id(blocking: Blocking) -> None:
    """An undo waits for a claim of the leads of its import, and locks the lower id first."""
    ids = blocking.add_lower("app.leads", email="another@lead.example")
    import_id = blocking.ids["app.lead_imports"]
    blocking.run("UPDATE app.lead_imports SET first_lead_id = %s", UUID(int=0))
    blocking.run("DELETE FROM app.lead_import_changes")
    blocking.run(
        "INSERT INTO app.lead_import_changes (workspace_id, import_id, line_number, lead_id, before, changed_at)"
        " SELECT %s, %s, nth, lead_id, '{}', now() FROM unnest(%s::uuid[]) WITH ORDINALITY AS change (lead_id, nth)",
        blocking.workspace_id,
        import_id,
        ids,
    )

    async def undo(session: AsyncSession) -> None:
        lead_import = await imports.find_import(session, blocking.workspace_id, import_id)
        assert lead_import is not None
        await repository.undo_block(session, lead_import, (1, 2))

    await blocking.prove_row_lock("NO KEY UPDATE", "app.leads", ids, undo)
