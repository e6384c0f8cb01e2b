"""Endpoints for sequences and their steps."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import Query, status

from api.http.dependencies import MemberDep, PageDep
from api.http.errors import Conflict, NotFound, PreconditionFailed, responses
from api.http.pagination import Page, to_page
from api.http.preconditions import IfMatch
from api.http.routing import SequenceId, StepId, create_router
from api.outreach.sequences import repository, service
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
    TrackingOut,
)
from database.models import Sequence

router = create_router("/api/workspaces/{workspaceId}/sequences", "sequences")
SEQUENCE = "/{sequenceId}"
STEP = f"{SEQUENCE}/steps/{{stepId}}"


async def _get_detail(member: MemberDep, sequence: Sequence) -> SequenceDetail:
    return SequenceDetail.with_steps(sequence, await service.list_steps(member.session, sequence))


@router.post(
    "",
    operation_id="createSequence",
    status_code=status.HTTP_201_CREATED,
    responses=responses(NotFound),
)
async def create_sequence(member: MemberDep, body: SequenceIn) -> SequenceDetail:
    """Create a sequence, in status Draft and without steps."""
    sequence = await repository.add_sequence(member.session, member.workspace_id, **body.model_dump())
    return SequenceDetail.with_steps(sequence, [])


@router.get("", operation_id="listSequences", responses=responses(NotFound))
async def list_sequences(member: MemberDep, page: PageDep) -> Page[SequenceOut]:
    """List the workspace's sequences, newest first."""
    return to_page(SequenceOut, await repository.list_sequences(member.session, member.workspace_id, page), page)


@router.get(SEQUENCE, operation_id="getSequence", responses=responses(NotFound))
async def get_sequence(member: MemberDep, sequence_id: SequenceId) -> SequenceDetail:
    """Get one sequence with its steps."""
    return await _get_detail(member, await service.get_sequence(member.session, member.workspace_id, sequence_id))


@router.patch(SEQUENCE, operation_id="changeSequence", responses=responses(NotFound, PreconditionFailed))
async def change_sequence(
    member: MemberDep, sequence_id: SequenceId, body: SequenceChange, if_match: IfMatch
) -> SequenceDetail:
    """Change the name of a sequence, or whether its drafts are approved automatically."""
    sequence = await service.lock_sequence(member.session, member.workspace_id, sequence_id)
    if_match.require(await _get_detail(member, sequence))
    values = body.model_dump(exclude_unset=True)
    return await _get_detail(
        member, await service.change_sequence(member.session, member.workspace_id, sequence.id, values)
    )


@router.post(
    f"{SEQUENCE}/steps",
    operation_id="addSequenceStep",
    status_code=status.HTTP_201_CREATED,
    responses=responses(NotFound, Conflict),
)
async def add_step(member: MemberDep, sequence_id: SequenceId, body: StepIn) -> StepOut:
    """Append a step to a sequence."""
    step = await service.add_step(member.session, member.workspace_id, sequence_id, body.model_dump())
    return StepOut.of(step)


@router.put(
    f"{SEQUENCE}/steps/order", operation_id="reorderSequenceSteps", responses=responses(NotFound, PreconditionFailed)
)
async def reorder_steps(
    member: MemberDep, sequence_id: SequenceId, body: StepOrder, if_match: IfMatch
) -> SequenceDetail:
    """Reorder the steps of a sequence; send the ETag of the sequence in If-Match."""
    sequence = await service.lock_sequence(member.session, member.workspace_id, sequence_id)
    if_match.require(await _get_detail(member, sequence))
    return SequenceDetail.with_steps(sequence, await service.reorder_steps(member.session, sequence, body.step_ids))


@router.get(STEP, operation_id="getSequenceStep", responses=responses(NotFound))
async def get_step(member: MemberDep, sequence_id: SequenceId, step_id: StepId) -> StepOut:
    """Get one step of a sequence."""
    sequence = await service.get_sequence(member.session, member.workspace_id, sequence_id)
    return StepOut.of(await service.get_step(member.session, sequence, step_id))


@router.patch(STEP, operation_id="changeSequenceStep", responses=responses(NotFound, Conflict, PreconditionFailed))
async def change_step(
    member: MemberDep, sequence_id: SequenceId, step_id: StepId, body: StepChange, if_match: IfMatch
) -> StepOut:
    """Change a step; drafts that were made from it do not change."""
    sequence = await service.lock_sequence(member.session, member.workspace_id, sequence_id)
    step = await service.get_step(member.session, sequence, step_id)
    if_match.require(StepOut.of(step))
    values = body.model_dump(exclude_unset=True)
    return StepOut.of(await service.change_step(member.session, sequence, step, values))


@router.delete(
    STEP,
    operation_id="deleteSequenceStep",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(NotFound, Conflict, PreconditionFailed),
)
async def delete_step(member: MemberDep, sequence_id: SequenceId, step_id: StepId, if_match: IfMatch) -> None:
    """Delete a step without drafts; the steps after it move up."""
    sequence = await service.lock_sequence(member.session, member.workspace_id, sequence_id)
    step = await service.get_step(member.session, sequence, step_id)
    if_match.require(StepOut.of(step))
    await service.delete_step(member.session, sequence, step)


@router.get(f"{STEP}/preview", operation_id="previewSequenceStep", responses=responses(NotFound, Conflict))
async def preview_step(
    member: MemberDep, sequence_id: SequenceId, step_id: StepId, lead_id: Annotated[UUID, Query(alias="leadId")]
) -> StepPreview:
    """Preview the mail of a step for a lead, and list the variables without a value."""
    preview, tracking = await service.preview_step(member.session, member.workspace, sequence_id, step_id, lead_id)
    return StepPreview(**asdict(preview), tracking=TrackingOut.of(tracking))


@router.get(f"{SEQUENCE}/progress", operation_id="getSequenceProgress", responses=responses(NotFound))
async def get_progress(member: MemberDep, sequence_id: SequenceId) -> Progress:
    """Count the enrollments and drafts of a sequence by status."""
    enrollments, drafts = await service.count_progress(member.session, member.workspace_id, sequence_id)
    return Progress(enrollments=enrollments, drafts=drafts)


@router.post(f"{SEQUENCE}/activate", operation_id="activateSequence", responses=responses(NotFound, Conflict))
async def activate_sequence(member: MemberDep, sequence_id: SequenceId) -> SequenceDetail:
    """Activate a sequence, so that it sends; if it is active already, the answer is a conflict."""
    sequence = await service.activate_sequence(member.session, member.workspace_id, sequence_id, member.now)
    return await _get_detail(member, sequence)


@router.post(f"{SEQUENCE}/pause", operation_id="pauseSequence", responses=responses(NotFound, Conflict))
async def pause_sequence(member: MemberDep, sequence_id: SequenceId) -> SequenceDetail:
    """Pause a sequence, so that it sends nothing; scheduled mails wait until you activate it."""
    return await _get_detail(member, await service.pause_sequence(member.session, member.workspace_id, sequence_id))


@router.delete(
    SEQUENCE, operation_id="deleteSequence", status_code=204, responses=responses(NotFound, PreconditionFailed)
)
async def delete_sequence(member: MemberDep, sequence_id: SequenceId, if_match: IfMatch) -> None:
    """Delete a sequence permanently: its enrollments stop, nothing more is sent, and its sent mails are kept."""
    sequence = await service.lock_to_delete(member.session, member.workspace_id, sequence_id)
    if_match.require(SequenceDetail.with_steps(sequence, await service.list_steps(member.session, sequence)))
    await service.delete_sequence(member.session, sequence, cause=f"by user {member.caller.user_id}", now=member.now)
