from uuid import UUID

import pytest

from domain.lead_import import imported_lead_id
from tests.api.importing import Imports, Tables

pytestmark = pytest.mark.anyio

FIRST = UUID("01a2048a-1461-7a3d-9b95-614100000000")


@pytest.mark.parametrize("line", [1, 2, 255, 1_000_001, 2**31 - 1])
def test_the_database_and_the_domain_agree(tables: Tables, line: int) -> None:
    """The function of the database and that of the rules give a line the same id, which is a UUIDv7."""
    (row,) = tables.run("SELECT app.imported_lead_id(%s, %s) AS id", FIRST, line)
    assert row["id"] == imported_lead_id(FIRST, line)
    assert (row["id"].version, row["id"].variant) == (7, FIRST.variant)


async def test_ids_are_of_the_time_of_the_commit(imports: Imports, tables: Tables, workspace: str) -> None:
    """Leads of a file come after leads created before its commit and before leads created after it."""
    made = await imports.uploaded("Email\na@example.com\nb@example.com\n")
    before = UUID((await imports.made("leads", {"email": "before@example.com"}))["id"])
    await imports.commit(made)
    after = UUID((await imports.made("leads", {"email": "after@example.com"}))["id"])
    leads = tables.leads(workspace)
    a, b = leads["a@example.com"]["id"], leads["b@example.com"]["id"]
    assert before < a < b < after
    assert (a.version, a.int & 0xFFFFFFFF, b.int & 0xFFFFFFFF) == (7, 2, 3)
