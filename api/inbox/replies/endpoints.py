"""Endpoints of replies."""

from typing import Annotated

from fastapi import Depends, Query

from api.http.dependencies import MemberDep, PageDep
from api.http.errors import NotFound, responses
from api.http.pagination import Page, PageRequest, sorted_by, to_page
from api.http.routing import ReplyId, create_router
from api.inbox.replies import service
from api.inbox.replies.schemas import CorrectionIn, CorrectionOut, ReplyFilter, ReplyOut, ReplySort
from api.inbox.replies.service import Decision

router = create_router("/api/workspaces/{workspaceId}/replies", "replies")


@router.get("", operation_id="listReplies", responses=responses(NotFound))
async def list_replies(
    member: MemberDep,
    page: Annotated[PageRequest, Depends(sorted_by(ReplySort))],
    filters: Annotated[ReplyFilter, Query()],
) -> Page[ReplyOut]:
    """List replies, by default newest first; one that is not classified yet has no intent and no isAutomatic."""
    return to_page(ReplyOut, await service.list_replies(member.session, member.workspace_id, page, filters), page)


@router.get("/corrections", operation_id="listReplyCorrections", responses=responses(NotFound))
async def list_corrections(member: MemberDep, page: PageDep) -> Page[CorrectionOut]:
    """List the intents that users corrected, newest first, to measure and improve the classification."""
    return to_page(CorrectionOut, await service.list_corrections(member.session, member.workspace_id, page), page)


@router.get("/{replyId}", operation_id="getReply", responses=responses(NotFound))
async def get_reply(member: MemberDep, reply_id: ReplyId) -> ReplyOut:
    """Get a reply."""
    return ReplyOut.of(await service.get_reply(member.session, member.workspace_id, reply_id))


@router.post("/{replyId}/correct", operation_id="correctReply", responses=responses(NotFound))
async def correct_reply(member: MemberDep, reply_id: ReplyId, body: CorrectionIn) -> ReplyOut:
    """Correct or confirm the intent of a reply, with all its effects; a suppression that it has caused stays."""
    decision = Decision(body.intent, body.is_machine_reply, body.return_date)
    corrected = await service.correct_reply(
        member.session, member.workspace_id, reply_id, decision, by=member.caller.user_id, now=member.now
    )
    return ReplyOut.of(corrected)
