"""HTTP for sequences and their steps."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, status

from api.http.dependencies import MemberDep, PageDep
from api.http.errors import Conflict, NotFound, PreconditionFailed, responses
from api.http.pagination import Page, to_page
from api.http.preconditions import IfMatch
from api.http.routing import SequenceId, StepId, room_router
from api.outreach.sequences import service
from api.outreach.sequences.schemas import (
    Progress,
    SequenceChange,
    SequenceDetail,
    SequenceIn,
    SequenceOut,
    StepChange,
    StepIn,
    StepOrder,
    StepOut,
    StepPreview,
)
from database.models import Sequence

router = room_router("/api/workspaces/{workspaceId}/sequences", "sequences")
ONE = "/{sequenceId}"
STEP = f"{ONE}/steps/{{stepId}}"


async def _detail(member: MemberDep, sequence: Sequence) -> SequenceDetail:
    return SequenceDetail.with_steps(sequence, await service.list_steps(member.session, sequence))


@router.post(
    "",
    operation_id="createSequence",
    status_code=status.HTTP_201_CREATED,
    responses=responses(NotFound),
)
async def create_sequence(member: MemberDep, body: SequenceIn) -> SequenceDetail:
    """Make a sequence, in draft and without steps."""
    made = await service.create_sequence(member.session, member.workspace_id, body.model_dump())
    return SequenceDetail.with_steps(made, [])


@router.get("", operation_id="listSequences", responses=responses(NotFound))
async def list_sequences(member: MemberDep, page: PageDep) -> Page[SequenceOut]:
    """The workspace's sequences, newest first."""
    return to_page(SequenceOut, await service.list_sequences(member.session, member.workspace_id, page), page)


@router.get(ONE, operation_id="getSequence", responses=responses(NotFound))
async def get_sequence(member: MemberDep, sequence_id: SequenceId) -> SequenceDetail:
    """One sequence with its steps."""
    return await _detail(member, await service.get_sequence(member.session, member.workspace_id, sequence_id))


@router.patch(ONE, operation_id="changeSequence", responses=responses(NotFound, PreconditionFailed))
async def change_sequence(
    member: MemberDep, sequence_id: SequenceId, body: SequenceChange, if_match: IfMatch
) -> SequenceDetail:
    """Change a sequence's name or whether its drafts are approved as they are written."""
    held = await service.hold_sequence(member.session, member.workspace_id, sequence_id)
    if_match.require(await _detail(member, held))
    values = body.model_dump(exclude_unset=True)
    return await _detail(member, await service.change_sequence(member.session, member.workspace_id, held.id, values))


@router.post(
    f"{ONE}/steps",
    operation_id="addSequenceStep",
    status_code=status.HTTP_201_CREATED,
    responses=responses(NotFound, Conflict),
)
async def add_step(member: MemberDep, sequence_id: SequenceId, body: StepIn) -> StepOut:
    """Append a step."""
    step = await service.add_step(member.session, member.workspace_id, sequence_id, body.model_dump())
    return StepOut.of(step)


@router.put(
    f"{ONE}/steps/order", operation_id="reorderSequenceSteps", responses=responses(NotFound, PreconditionFailed)
)
async def reorder_steps(
    member: MemberDep, sequence_id: SequenceId, body: StepOrder, if_match: IfMatch
) -> SequenceDetail:
    """Put the steps in a new order; If-Match takes the sequence's ETag."""
    held = await service.hold_sequence(member.session, member.workspace_id, sequence_id)
    if_match.require(await _detail(member, held))
    return SequenceDetail.with_steps(held, await service.reorder_steps(member.session, held, body.step_ids))


@router.get(STEP, operation_id="getSequenceStep", responses=responses(NotFound))
async def get_step(member: MemberDep, sequence_id: SequenceId, step_id: StepId) -> StepOut:
    """One step of a sequence."""
    sequence = await service.get_sequence(member.session, member.workspace_id, sequence_id)
    return StepOut.of(await service.get_step(member.session, sequence, step_id))


@router.patch(STEP, operation_id="changeSequenceStep", responses=responses(NotFound, Conflict, PreconditionFailed))
async def change_step(
    member: MemberDep, sequence_id: SequenceId, step_id: StepId, body: StepChange, if_match: IfMatch
) -> StepOut:
    """Change a step; what was drafted from it stays as it was written."""
    held = await service.hold_sequence(member.session, member.workspace_id, sequence_id)
    step = await service.get_step(member.session, held, step_id)
    if_match.require(StepOut.of(step))
    values = body.model_dump(exclude_unset=True)
    return StepOut.of(await service.change_step(member.session, held, step, values))


@router.delete(
    STEP,
    operation_id="deleteSequenceStep",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(NotFound, Conflict, PreconditionFailed),
)
async def delete_step(member: MemberDep, sequence_id: SequenceId, step_id: StepId, if_match: IfMatch) -> None:
    """Delete a step that nothing was drafted from; those after it move up."""
    held = await service.hold_sequence(member.session, member.workspace_id, sequence_id)
    step = await service.get_step(member.session, held, step_id)
    if_match.require(StepOut.of(step))
    await service.delete_step(member.session, held, step)


@router.get(f"{STEP}/preview", operation_id="previewSequenceStep", responses=responses(NotFound, Conflict))
async def preview_step(
    member: MemberDep, sequence_id: SequenceId, step_id: StepId, lead_id: Annotated[UUID, Query(alias="leadId")]
) -> StepPreview:
    """A step as a lead would get it from the template, and what the lead has no value for."""
    made = await service.preview(member.session, member.workspace, sequence_id, step_id, lead_id)
    return StepPreview.of(made)


@router.get(f"{ONE}/progress", operation_id="getSequenceProgress", responses=responses(NotFound))
async def get_progress(member: MemberDep, sequence_id: SequenceId) -> Progress:
    """Enrollments and drafts of the sequence by status, as they are now."""
    enrollments, drafts = await service.progress(member.session, member.workspace_id, sequence_id)
    return Progress(enrollments=enrollments, drafts=drafts)


@router.post(f"{ONE}/activate", operation_id="activateSequence", responses=responses(NotFound, Conflict))
async def activate(member: MemberDep, sequence_id: SequenceId) -> SequenceDetail:
    """Let the sequence send; one that is active already is a conflict, so that of two who act one learns of it."""
    moved = await service.activate(member.session, member.workspace_id, sequence_id, member.now)
    return await _detail(member, moved)


@router.post(f"{ONE}/pause", operation_id="pauseSequence", responses=responses(NotFound, Conflict))
async def pause(member: MemberDep, sequence_id: SequenceId) -> SequenceDetail:
    """Stop the sequence from sending; what waits goes on waiting."""
    return await _detail(member, await service.pause(member.session, member.workspace_id, sequence_id))
