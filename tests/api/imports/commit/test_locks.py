from functools import partial

import polars as pl
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from api.imports.commit import commit_block
from api.imports.packing import LINE, pack_rows
from api.imports.repository import commit as repository
from api.imports.repository import outcomes
from api.people.suppressions import service as suppressions
from database.models import DuplicatePolicy
from tests.blocking import Blocking
from tests.database.rows import NOW

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


@pytest.mark.parametrize("opt_out", ["unsubscribed", None])
async def test_a_block_with_an_opt_out_waits_for_claims(blocking: Blocking, opt_out: str | None) -> None:
    """The suppressions of a block commit only after the claims that have not seen them; other blocks do not wait."""
    import_id, address = blocking.ids["app.lead_imports"], "new@lead.example"
    column = {"position": 0, "header": "Email", "target": "email", "confidence": 1, "decided_by": "person"}
    blocking.run(
        "UPDATE app.lead_imports SET state = 'committing', next_block = 0, list_id = NULL, mapping = %s, headers = %s,"
        " new_count = 0, updated_count = 0, duplicate_in_file_count = 0, duplicate_in_workspace_count = 0,"
        " suppressed_count = 0, invalid_count = 0, first_lead_id = app.uuidv7() WHERE id = %s",
        Jsonb([column]),
        Jsonb(["Email"]),
        import_id,
    )
    blocking.run("DELETE FROM app.lead_import_rows")
    blocking.run(
        "INSERT INTO app.lead_import_rows (workspace_id, import_id, line_number, email, opt_out)"
        " VALUES (%s, %s, 2, %s, %s)",
        blocking.workspace_id,
        import_id,
        address,
        opt_out,
    )
    rows = pl.DataFrame(
        {LINE: [2], "error": [None], "damaged": [None], "0": [address]},
        schema={LINE: pl.Int32, "error": pl.String, "damaged": pl.String, "0": pl.String},
    )
    blocking.run(
        "UPDATE app.lead_import_blocks SET number = 0, first_line = 2, last_line = 2, row_count = 1, content = %s",
        pack_rows(rows),
    )
    commit = partial(commit_block, workspace_id=blocking.workspace_id, import_id=import_id, now=NOW)
    suppressed = "SELECT reason FROM app.suppressions WHERE value = %s"

    async with blocking.kept_open(
        lambda session: suppressions.lock_suppressions_shared(session, blocking.workspace_id)
    ) as claiming:
        if opt_out is None:
            assert await blocking.run_alone(commit)
        else:
            committing = await blocking.start_waiting(commit, claiming.pid)
            assert blocking.run(suppressed, address) == []
    if opt_out is not None:
        assert await committing
    assert blocking.run(suppressed, address) == ([(opt_out,)] if opt_out else [])
