"""HTTP for replies."""

from typing import Annotated

from fastapi import Depends, Query

from api.dependencies import MemberDep
from api.errors import NotFound, responses
from api.pagination import Page, PageRequest, sorted_by, to_page
from api.replies import service
from api.replies.schemas import ReplyFilter, ReplyOut, ReplySort
from api.routing import ReplyId, room_router

router = room_router("/api/workspaces/{workspaceId}/replies", "replies")


@router.get("", operation_id="listReplies", responses=responses(NotFound))
async def list_replies(
    member: MemberDep,
    page: Annotated[PageRequest, Depends(sorted_by(ReplySort))],
    wanted: Annotated[ReplyFilter, Query()],
) -> Page[ReplyOut]:
    """What people sent back, newest first; what nobody has read yet has neither intent nor isAutomatic."""
    return to_page(ReplyOut, await service.list_replies(member.session, member.workspace_id, page, wanted), page)


@router.get("/{replyId}", operation_id="getReply", responses=responses(NotFound))
async def get_reply(member: MemberDep, reply_id: ReplyId) -> ReplyOut:
    """One reply."""
    return ReplyOut.of(await service.get_reply(member.session, member.workspace_id, reply_id))
