"""HTTP for sequences and their steps."""

from uuid import UUID

from fastapi import APIRouter, status

from api.dependencies import MemberDep, PageDep
from api.errors import Conflict, NotFound, Unauthorized, responses
from api.pagination import Page, to_page
from api.sequences import service
from api.sequences.schemas import Progress, SequenceDetail, SequenceIn, SequenceOut, StepIn, StepOut

router = APIRouter(prefix="/api/workspaces/{workspaceId}/sequences", tags=["sequences"])


@router.post(
    "",
    operation_id="createSequence",
    status_code=status.HTTP_201_CREATED,
    responses=responses(Unauthorized, NotFound),
)
async def create_sequence(member: MemberDep, body: SequenceIn) -> SequenceOut:
    """Make a sequence, in draft and without steps."""
    made = await service.create_sequence(member.session, member.workspace_id, body.model_dump())
    return SequenceOut.model_validate(made)


@router.get("", operation_id="listSequences", responses=responses(Unauthorized, NotFound))
async def list_sequences(member: MemberDep, page: PageDep) -> Page[SequenceOut]:
    """The workspace's sequences, newest first."""
    return to_page(SequenceOut, await service.list_sequences(member.session, member.workspace_id, page), page)


@router.get("/{sequence_id}", operation_id="getSequence", responses=responses(Unauthorized, NotFound))
async def get_sequence(member: MemberDep, sequence_id: UUID) -> SequenceDetail:
    """One sequence with its steps."""
    sequence = await service.get_sequence(member.session, member.workspace_id, sequence_id)
    steps = await service.list_steps(member.session, member.workspace_id, sequence_id)
    return SequenceDetail(
        **SequenceOut.model_validate(sequence).model_dump(), steps=[StepOut.model_validate(step) for step in steps]
    )


@router.post(
    "/{sequence_id}/steps",
    operation_id="addSequenceStep",
    status_code=status.HTTP_201_CREATED,
    responses=responses(Unauthorized, NotFound),
)
async def add_step(member: MemberDep, sequence_id: UUID, body: StepIn) -> StepOut:
    """Append a step."""
    step = await service.add_step(member.session, member.workspace_id, sequence_id, body.model_dump())
    return StepOut.model_validate(step)


@router.get("/{sequence_id}/progress", operation_id="getSequenceProgress", responses=responses(Unauthorized, NotFound))
async def get_progress(member: MemberDep, sequence_id: UUID) -> Progress:
    """Enrollments and drafts of the sequence by status, as they are now."""
    enrollments, drafts = await service.progress(member.session, member.workspace_id, sequence_id)
    return Progress(enrollments=enrollments, drafts=drafts)


@router.post(
    "/{sequence_id}/activate", operation_id="activateSequence", responses=responses(Unauthorized, NotFound, Conflict)
)
async def activate(member: MemberDep, sequence_id: UUID) -> SequenceOut:
    """Let the sequence send."""
    return SequenceOut.model_validate(
        await service.activate(member.session, member.workspace_id, sequence_id, member.now)
    )


@router.post(
    "/{sequence_id}/pause", operation_id="pauseSequence", responses=responses(Unauthorized, NotFound, Conflict)
)
async def pause(member: MemberDep, sequence_id: UUID) -> SequenceOut:
    """Stop the sequence from sending; what waits goes on waiting."""
    return SequenceOut.model_validate(await service.pause(member.session, member.workspace_id, sequence_id))
