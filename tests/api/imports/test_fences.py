from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.imports.repository import uploads as repository
from domain.lead_import import ImportEvent, ImportState, source_states
from tests.overtaking import overtaken, rows_in_each, setting
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

IMPORTS = "app.lead_imports"


@pytest.mark.fences("api.imports.repository.uploads:apply_event")
@pytest.mark.parametrize("event", ImportEvent)
async def test_only_imports_the_event_is_legal_for_move(two_workspaces: TwoWorkspaces, event: ImportEvent) -> None:
    """An import moves where its state allows the event still, and stays where it was moved meanwhile."""
    workspaces, sources = two_workspaces, source_states(event)
    moved, legal = rows_in_each(lambda state: workspaces.add(IMPORTS, state=state), "state", sources, ImportState)
    foreign = workspaces.add(IMPORTS, workspaces.neighbour, state=min(sources))

    async def move_each(session: AsyncSession) -> set[UUID]:
        answers = [
            await repository.apply_event(session, workspaces.id, import_id, event, {"error": "because"})
            for import_id in (*moved, *legal, foreign)
        ]
        return {answer.id for answer in answers if answer is not None}

    overtaking = await overtaken(workspaces, setting(IMPORTS, moved), move_each)
    assert overtaking.result == legal
    assert overtaking.rows == {IMPORTS: legal}
