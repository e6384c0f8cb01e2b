import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.imports.repository import commit as repository
from api.imports.repository import outcomes
from database.models import DuplicatePolicy
from tests.blocking import Blocking

pytestmark = pytest.mark.anyio


@pytest.mark.locks("api.imports.repository.commit:_lock_known_leads")
async def test_leads_that_an_import_knows_are_locked_by_id(blocking: Blocking) -> None:
    """Writing a block waits for a claim of the leads of its addresses, and locks the lower id first."""
    ids = blocking.add_lower("app.leads", email="another@lead.example")
    import_id = blocking.ids["app.lead_imports"]
    blocking.run("DELETE FROM app.lead_import_rows")
    blocking.run(
        "INSERT INTO app.lead_import_rows (workspace_id, import_id, line_number, email)"
        " SELECT workspace_id, %s, row_number() OVER (ORDER BY id DESC), email FROM app.leads",
        import_id,
    )
    plan = outcomes.Plan(blocking.workspace_id, import_id, None, None, DuplicatePolicy.SKIP, None)

    async def write(session: AsyncSession) -> None:
        await outcomes.create_values_table(session)
        await repository.write_block(session, plan, (1, 2))

    await blocking.prove_row_lock("NO KEY UPDATE", "app.leads", ids, write)
