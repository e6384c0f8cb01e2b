"""Endpoints for drafts and their review."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from api.http.dependencies import MemberDep, PageDep
from api.http.errors import Conflict, NotFound, PreconditionFailed, responses
from api.http.pagination import Page, to_page
from api.http.preconditions import IfMatch
from api.http.routing import DraftId, create_router
from api.outreach.drafts import repository, service
from api.outreach.drafts.schemas import ApprovalStatus, ApproveIn, ApproveResult, DraftChange, DraftOut, RejectIn
from domain.draft import DraftStatus

router = create_router("/api/workspaces/{workspaceId}/drafts", "drafts")


@router.get("", operation_id="listDrafts", responses=responses(NotFound))
async def list_drafts(
    member: MemberDep,
    page: PageDep,
    status: DraftStatus | None = None,
    sequence_id: Annotated[UUID | None, Query(alias="sequenceId")] = None,
    lead_id: Annotated[UUID | None, Query(alias="leadId")] = None,
    enrollment_id: Annotated[UUID | None, Query(alias="enrollmentId")] = None,
) -> Page[DraftOut]:
    """List the workspace's drafts, newest first."""
    drafts = await repository.list_drafts(
        member.session,
        member.workspace_id,
        page,
        status=status,
        sequence_id=sequence_id,
        lead_id=lead_id,
        enrollment_id=enrollment_id,
    )
    return to_page(DraftOut, drafts, page)


@router.post("/approve", operation_id="approveDrafts", responses=responses(NotFound))
async def approve_drafts(member: MemberDep, body: ApproveIn) -> ApproveResult:
    """Approve drafts that wait for review, by id or all of a sequence; drafts that can never be sent are refused."""
    results = await service.approve_drafts(
        member.session,
        member.workspace_id,
        draft_ids=body.draft_ids,
        sequence_id=body.sequence_id,
        now=member.now,
    )
    approved = [approval.draft_id for approval in results if approval.status is ApprovalStatus.APPROVED]
    listed = [
        approval for approval in results if body.draft_ids is not None or approval.status is not ApprovalStatus.APPROVED
    ]
    return ApproveResult(approved=approved, results=listed)


@router.get("/{draftId}", operation_id="getDraft", responses=responses(NotFound))
async def get_draft(member: MemberDep, draft_id: DraftId) -> DraftOut:
    """Get one draft."""
    return DraftOut.of(await service.get_draft(member.session, member.workspace_id, draft_id))


@router.patch("/{draftId}", operation_id="changeDraft", responses=responses(NotFound, Conflict, PreconditionFailed))
async def change_draft(member: MemberDep, draft_id: DraftId, body: DraftChange, if_match: IfMatch) -> DraftOut:
    """Edit a draft before it is sent."""
    draft = await service.lock_draft(member.session, member.workspace_id, draft_id)
    if_match.require(DraftOut.of(draft))
    return DraftOut.of(await service.edit_draft(member.session, draft, body.model_dump(exclude_unset=True), member.now))


@router.post("/{draftId}/approve", operation_id="approveDraft", responses=responses(NotFound, Conflict))
async def approve_draft(member: MemberDep, draft_id: DraftId) -> DraftOut:
    """Approve one draft that waits for review."""
    return DraftOut.of(await service.approve_draft(member.session, member.workspace_id, draft_id, member.now))


@router.post("/{draftId}/reject", operation_id="rejectDraft", responses=responses(NotFound, Conflict))
async def reject_draft(member: MemberDep, draft_id: DraftId, body: RejectIn) -> DraftOut:
    """Reject a draft with a reason; it is not sent, and you can regenerate it."""
    return DraftOut.of(
        await service.reject_draft(member.session, member.workspace_id, draft_id, body.reason, member.now)
    )


@router.post("/{draftId}/regenerate", operation_id="regenerateDraft", responses=responses(NotFound, Conflict))
async def regenerate_draft(member: MemberDep, draft_id: DraftId) -> DraftOut:
    """Regenerate a draft: its text is written again."""
    draft = await service.regenerate_draft(
        member.session, member.workspace_id, draft_id, by=member.caller.user_id, now=member.now
    )
    return DraftOut.of(draft)
