from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.outreach.sequences import repository
from domain.sequence import SequenceEvent, SequenceStatus, source_statuses
from tests.overtaking import overtaken, rows_in_each, setting
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

SEQUENCES = "app.sequences"


@pytest.mark.fences("api.outreach.sequences.repository:apply_event")
@pytest.mark.parametrize("event", SequenceEvent)
async def test_only_sequences_the_event_is_legal_for_move(two_workspaces: TwoWorkspaces, event: SequenceEvent) -> None:
    """A sequence starts or pauses where its status allows that still, and stays where it was moved meanwhile."""
    workspaces, sources = two_workspaces, source_statuses(event)
    moved, legal = rows_in_each(
        lambda status: workspaces.add(SEQUENCES, status=status), "status", sources, SequenceStatus
    )
    foreign = workspaces.add(SEQUENCES, workspaces.neighbour, status=min(sources))

    async def move_each(session: AsyncSession) -> set[UUID]:
        answers = [
            await repository.apply_event(session, workspaces.id, sequence_id, event)
            for sequence_id in (*moved, *legal, foreign)
        ]
        return {answer.id for answer in answers if answer is not None}

    overtaking = await overtaken(workspaces, setting(SEQUENCES, moved), move_each)
    assert overtaking.result == legal
    assert overtaking.rows == {SEQUENCES: legal}
