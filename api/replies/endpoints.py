"""HTTP for replies."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from pydantic import AwareDatetime

from api.dependencies import MemberDep
from api.errors import NotFound, responses
from api.pagination import Page, PageRequest, sorted_by, to_page
from api.replies import service
from api.replies.schemas import Intent, ReplyFilter, ReplyOut, ReplySort
from api.routing import ReplyId, room_router

router = room_router("/api/workspaces/{workspaceId}/replies", "replies")


@router.get("", operation_id="listReplies", responses=responses(NotFound))
async def list_replies(
    member: MemberDep,
    page: Annotated[PageRequest, Depends(sorted_by(ReplySort))],
    lead_id: Annotated[UUID | None, Query(alias="leadId")] = None,
    enrollment_id: Annotated[UUID | None, Query(alias="enrollmentId")] = None,
    sequence_id: Annotated[UUID | None, Query(alias="sequenceId")] = None,
    intent: Intent | None = None,
    is_automatic: Annotated[bool | None, Query(alias="isAutomatic", description="Whether a machine wrote it.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Received then or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Received before then.")] = None,
) -> Page[ReplyOut]:
    """What people sent back, newest first; what nobody has read yet has neither intent nor isAutomatic."""
    wanted = ReplyFilter(
        lead_id=lead_id,
        enrollment_id=enrollment_id,
        sequence_id=sequence_id,
        intent=intent,
        is_automatic=is_automatic,
        since=since,
        until=until,
    )
    return to_page(ReplyOut, await service.list_replies(member.session, member.workspace_id, page, wanted), page)


@router.get("/{replyId}", operation_id="getReply", responses=responses(NotFound))
async def get_reply(member: MemberDep, reply_id: ReplyId) -> ReplyOut:
    """One reply."""
    return ReplyOut.of(await service.get_reply(member.session, member.workspace_id, reply_id))
