"""HTTP for replies."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.dependencies import MemberDep, PageDep
from api.errors import NotFound, Unauthorized, responses
from api.pagination import Page, to_page
from api.replies import service
from api.replies.schemas import ReplyOut

router = APIRouter(prefix="/api/workspaces/{workspaceId}/replies", tags=["replies"])


@router.get("", operation_id="listReplies", responses=responses(Unauthorized, NotFound))
async def list_replies(
    member: MemberDep,
    page: PageDep,
    lead_id: Annotated[UUID | None, Query(alias="leadId")] = None,
    intent: Annotated[str | None, Query(max_length=50)] = None,
) -> Page[ReplyOut]:
    """What people sent back, newest first."""
    found = await service.list_replies(member.session, member.workspace_id, page, lead_id=lead_id, intent=intent)
    return to_page(ReplyOut, found, page)
