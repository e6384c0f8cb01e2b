import pytest

from api.imports.repository import uploads as repository
from database.engine import create_pool
from database.roles import APP_ROLE, owner_url, role_url
from database.tenancy import transaction
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

ADD_ROW = (
    "INSERT INTO app.lead_import_rows (workspace_id, line_number, import_id, email, problem)"
    " VALUES (%s, %s, %s, %s, %s)"
)
ADD_CHANGE = (
    "INSERT INTO app.lead_import_changes (workspace_id, line_number, import_id, lead_id, changed_at)"
    " VALUES (%s, %s, %s, %s, now())"
)


async def test_which_lines_are_about_a_person(two_workspaces: TwoWorkspaces) -> None:
    """Lines of the file with the address, or that changed one of the leads; without an address, none without one."""
    workspaces = two_workspaces
    import_id, lead_id = workspaces.ids["app.lead_imports"], workspaces.add("app.leads")
    other_import, other_lead = workspaces.add("app.lead_imports"), workspaces.add("app.leads")
    rows = (
        (11, import_id, "ann@lead.example", None),
        (12, import_id, "bob@lead.example", None),
        (13, import_id, None, "No address."),
        (14, other_import, "ann@lead.example", None),
    )
    changes = ((21, import_id, lead_id), (22, import_id, other_lead), (23, other_import, lead_id))
    with workspaces.owner.cursor() as cursor:
        cursor.executemany(ADD_ROW, [(workspaces.id, *row) for row in rows])
        cursor.executemany(ADD_CHANGE, [(workspaces.id, *change) for change in changes])
    pool = create_pool(role_url(owner_url(workspaces.url), APP_ROLE), size=1)
    async with transaction(pool, workspaces.scope) as session:
        by_address = await repository.find_lines(
            session, workspaces.id, import_id, lead_ids=[lead_id], address="ann@lead.example"
        )
        without_address = await repository.find_lines(
            session, workspaces.id, import_id, lead_ids=[lead_id], address=None
        )
    await pool.dispose()
    assert by_address == {11, 21}
    assert without_address == {21}
