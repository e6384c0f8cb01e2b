import pytest

from api.imports.repository import uploads as repository
from tests.blocking import Blocking

pytestmark = pytest.mark.anyio


@pytest.mark.locks("api.imports.repository.uploads:find_import")
async def test_an_import_is_locked_against_changes(blocking: Blocking) -> None:
    """An import is locked against changes, so that two changes follow one another."""
    import_id = blocking.ids["app.lead_imports"]
    await blocking.prove_row_lock(
        "NO KEY UPDATE",
        "app.lead_imports",
        [import_id],
        lambda session: repository.find_import(session, blocking.workspace_id, import_id, lock=True),
    )
