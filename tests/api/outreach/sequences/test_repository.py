"""What each statement of sequences takes, with rows beside those it is for that differ from them in one column."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.errors import Conflict, NotFound
from api.outreach.sequences import repository, service
from api.outreach.sequences.schemas import MAX_STEPS
from database.models import Sequence, SequenceStep
from domain.sequence import SequenceEvent
from tests.acting import FIRST_PAGE, act_alone, owner_session
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

SEQUENCES, STEPS, DRAFTS, ENROLLMENTS = (
    "app.sequences", "app.sequence_steps", "app.email_drafts", "app.lead_enrollments",
)  # fmt: skip


class Sequences:
    """A sequence with three steps, another with three, one that is deleted, and one of the neighbour."""

    def __init__(self, workspaces: TwoWorkspaces) -> None:
        self.workspaces = workspaces
        self.id, self.other = (workspaces.add(SEQUENCES, status="Active") for _ in range(2))
        self.deleted = workspaces.add(SEQUENCES, deleted_at=NOW)
        self.foreign = workspaces.add(SEQUENCES, workspaces.neighbour, status="Active")
        self.steps, self.other_steps = (
            [workspaces.add(STEPS, sequence_id=sequence_id, step_order=order) for order in (1, 2, 3)]
            for sequence_id in (self.id, self.other)
        )

    async def get(self, session: AsyncSession) -> Sequence:
        """The first of them."""
        return await session.get_one(Sequence, self.id)


@pytest.fixture
def sequences(two_workspaces: TwoWorkspaces) -> Sequences:
    """Sequences beside those that every table's row belongs to."""
    return Sequences(two_workspaces)


async def test_only_sequences_that_are_there_are_found(sequences: Sequences) -> None:
    """A sequence is found by its id, held and listed in its own workspace while it is not deleted."""
    workspace_id = sequences.workspaces.id
    ids = [sequences.id, sequences.other, sequences.deleted, sequences.foreign]
    async with owner_session(sequences.workspaces) as session:
        found = [await repository.find_sequence(session, workspace_id, one) for one in ids]
        for exclusive in (False, True):
            held = [await repository.lock_sequence(session, workspace_id, one, exclusive=exclusive) for one in ids]
            assert held == found
        listed = await repository.list_sequences(session, workspace_id, FIRST_PAGE)
        steps = await repository.list_steps(session, sequences.id)
    assert [row and row.id for row in found] == [sequences.id, sequences.other, None, None]
    assert {row.id for row in listed} == {sequences.id, sequences.other, sequences.workspaces.ids[SEQUENCES]}
    assert [step.id for step in steps] == sequences.steps


async def test_one_sequence_is_changed_and_moved(sequences: Sequences) -> None:
    """A change, a move and a deletion are of one sequence, and of no other."""
    workspace_id, key = sequences.workspaces.id, str(sequences.id)
    changed = await act_alone(
        sequences.workspaces,
        lambda session: repository.change_sequence(session, workspace_id, sequences.id, {"name": "Renamed"}),
    )
    assert changed.after() == {SEQUENCES: {key: {"name": "Renamed"}}}
    moved = await act_alone(
        sequences.workspaces,
        lambda session: repository.apply_event(session, workspace_id, sequences.id, SequenceEvent.PAUSED),
    )
    assert moved.after() == {SEQUENCES: {key: {"status": "Paused"}}}
    deleted = await act_alone(
        sequences.workspaces, lambda session: repository.delete_sequence(session, workspace_id, sequences.id)
    )
    assert {table: rows.keys() for table, rows in deleted.after().items()} == {SEQUENCES: {key}}


async def test_one_step_is_changed(sequences: Sequences) -> None:
    """A step gets another text, and no other step does."""
    step_id = sequences.steps[1]
    acted = await act_alone(
        sequences.workspaces,
        lambda session: repository.change_step(session, sequences.workspaces.id, step_id, {"subject": "Hello"}),
    )
    assert acted.after() == {STEPS: {str(step_id): {"subject": "Hello"}}}


async def test_a_step_is_appended_to_its_own_sequence(sequences: Sequences) -> None:
    """A new step comes after the last of its sequence, however many others have, and first where there is none."""
    workspaces = sequences.workspaces
    workspaces.add(STEPS, sequence_id=sequences.other, step_order=4)
    empty = workspaces.add(SEQUENCES)
    async with owner_session(workspaces) as session:
        steps = [
            await repository.append_step(session, workspaces.id, sequence_id) for sequence_id in (sequences.id, empty)
        ]
    assert [step.step_order for step in steps] == [4, 1]


async def test_steps_after_a_deleted_one_move_up(sequences: Sequences) -> None:
    """Where a step is deleted, those after it in its sequence move up by one; those before it, and others, stay."""
    _, second, third = sequences.steps

    async def delete(session: AsyncSession) -> None:
        step = await session.get_one(SequenceStep, second)
        await repository.delete_step(session, sequences.workspaces.id, step)

    acted = await act_alone(sequences.workspaces, delete)
    assert acted.changes[STEPS].keys() == {str(second), str(third)}
    assert acted.after()[STEPS][str(third)] == {"step_order": 2}


async def test_steps_of_one_sequence_are_reordered(sequences: Sequences) -> None:
    """Each step that has another place in the order moves there; one that has its place, and strange ids, stay."""
    first, second, third = sequences.steps
    order = [second, first, third, *reversed(sequences.other_steps)]
    acted = await act_alone(
        sequences.workspaces,
        lambda session: repository.reorder_steps(session, sequences.workspaces.id, sequences.id, order),
    )
    assert acted.changes.keys() == {STEPS}
    assert acted.after()[STEPS] == {str(first): {"step_order": 2}, str(second): {"step_order": 1}}


@pytest.mark.parametrize("place", [0, 1])
async def test_a_step_has_the_drafts_that_were_made_from_it(sequences: Sequences, place: int) -> None:
    """A step with a draft has drafts, and the next to it has none; the second is deleted, the first refused."""
    workspaces = sequences.workspaces
    enrollment_id = workspaces.add(ENROLLMENTS, lead_id=workspaces.add("app.leads"), sequence_id=sequences.id)
    owners: dict[str, Any] = {"sequence_id": sequences.id, "enrollment_id": enrollment_id}
    workspaces.add(DRAFTS, step_id=sequences.steps[0], **owners)
    async with owner_session(workspaces) as session:
        step = await session.get_one(SequenceStep, sequences.steps[place])
        assert await repository.has_drafts(session, workspaces.id, step) is (place == 0)


async def test_counts_are_of_one_sequence(sequences: Sequences) -> None:
    """Enrollments and drafts are counted by their status, those of this sequence alone."""
    workspaces = sequences.workspaces
    for sequence_id, statuses in ((sequences.id, ("active", "replied", "replied")), (sequences.other, ("active",))):
        for status in statuses:
            lead_id = workspaces.add("app.leads")
            owners: dict[str, Any] = {"lead_id": lead_id, "sequence_id": sequence_id}
            enrollment_id = workspaces.add(ENROLLMENTS, status=status, **owners)
            workspaces.add(DRAFTS, enrollment_id=enrollment_id, status="drafted", **owners)
    async with owner_session(workspaces) as session:
        counted = [
            await repository.count_enrollments(session, workspaces.id, sequences.id),
            await repository.count_drafts(session, workspaces.id, sequences.id),
        ]
    assert counted == [{"active": 1, "replied": 2}, {"drafted": 3}]


@pytest.mark.parametrize(("steps", "has_room"), [(MAX_STEPS - 1, True), (MAX_STEPS, False)])
async def test_a_sequence_has_so_many_steps_at_most(
    two_workspaces: TwoWorkspaces, steps: int, *, has_room: bool
) -> None:
    """The last step that a sequence may have is added, and the one after it is refused."""
    workspaces = two_workspaces
    sequence_id = workspaces.add(SEQUENCES)
    for order in range(1, steps + 1):
        workspaces.add(STEPS, sequence_id=sequence_id, step_order=order)
    async with owner_session(workspaces) as session:
        if has_room:
            step = await service.add_step(session, workspaces.id, sequence_id, {})
            assert step.step_order == MAX_STEPS
        else:
            with pytest.raises(Conflict, match=f"at most {MAX_STEPS} steps"):
                await service.add_step(session, workspaces.id, sequence_id, {})


async def test_a_step_is_found_in_its_sequence(sequences: Sequences) -> None:
    """Each step of a sequence is found by its id, and that of another is not."""
    async with owner_session(sequences.workspaces) as session:
        sequence = await sequences.get(session)
        found = [(await service.get_step(session, sequence, step_id)).id for step_id in sequences.steps]
        with pytest.raises(NotFound):
            await service.get_step(session, sequence, sequences.other_steps[0])
    assert found == sequences.steps
