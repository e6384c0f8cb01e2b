"""HTTP for drafts and their review."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.dependencies import MemberDep, PageDep
from api.drafts import service
from api.drafts.schemas import ApproveIn, ApproveResult, DraftChange, DraftOut
from api.errors import Conflict, NotFound, Unauthorized, responses
from api.pagination import Page, to_page
from database.models import DraftStatus

router = APIRouter(prefix="/api/workspaces/{workspaceId}/drafts", tags=["drafts"])


@router.get("", operation_id="listDrafts", responses=responses(Unauthorized, NotFound))
async def list_drafts(
    member: MemberDep,
    page: PageDep,
    status: DraftStatus | None = None,
    sequence_id: Annotated[UUID | None, Query(alias="sequenceId")] = None,
    lead_id: Annotated[UUID | None, Query(alias="leadId")] = None,
) -> Page[DraftOut]:
    """The workspace's drafts, newest first."""
    found = await service.list_drafts(
        member.session, member.workspace_id, page, status=status, sequence_id=sequence_id, lead_id=lead_id
    )
    return to_page(DraftOut, found, page)


@router.post("/approve", operation_id="approveDrafts", responses=responses(Unauthorized, NotFound))
async def approve_drafts(member: MemberDep, body: ApproveIn) -> ApproveResult:
    """Approve drafts that wait for review: some by id, or all of a sequence."""
    approved = await service.approve(
        member.session,
        member.workspace_id,
        draft_ids=body.draft_ids,
        sequence_id=body.sequence_id,
        now=member.now,
    )
    return ApproveResult(approved=approved)


@router.get("/{draft_id}", operation_id="getDraft", responses=responses(Unauthorized, NotFound))
async def get_draft(member: MemberDep, draft_id: UUID) -> DraftOut:
    """One draft."""
    return DraftOut.model_validate(await service.get_draft(member.session, member.workspace_id, draft_id))


@router.patch("/{draft_id}", operation_id="changeDraft", responses=responses(Unauthorized, NotFound, Conflict))
async def change_draft(member: MemberDep, draft_id: UUID, body: DraftChange) -> DraftOut:
    """Edit a draft before it is sent."""
    values = body.model_dump(exclude_unset=True)
    return DraftOut.model_validate(await service.edit(member.session, member.workspace_id, draft_id, values))


@router.post("/{draft_id}/approve", operation_id="approveDraft", responses=responses(Unauthorized, NotFound, Conflict))
async def approve_draft(member: MemberDep, draft_id: UUID) -> DraftOut:
    """Approve one draft that waits for review."""
    draft = await service.get_draft(member.session, member.workspace_id, draft_id)
    if not await service.approve(member.session, member.workspace_id, draft_ids=[draft_id], now=member.now):
        raise Conflict(f"Only a draft that waits for review can be approved; this one is {draft.status}.")
    return DraftOut.model_validate(await service.get_draft(member.session, member.workspace_id, draft_id))


@router.post(
    "/{draft_id}/regenerate", operation_id="regenerateDraft", responses=responses(Unauthorized, NotFound, Conflict)
)
async def regenerate_draft(member: MemberDep, draft_id: UUID) -> DraftOut:
    """Have a draft written again."""
    changed = await service.regenerate(member.session, member.workspace_id, draft_id, member.now)
    return DraftOut.model_validate(changed)
