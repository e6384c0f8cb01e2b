"""HTTP for replies."""

from typing import Annotated

from fastapi import Depends, Query

from api.http.dependencies import MemberDep, PageDep
from api.http.errors import NotFound, responses
from api.http.pagination import Page, PageRequest, sorted_by, to_page
from api.http.routing import ReplyId, create_router
from api.inbox.replies import service
from api.inbox.replies.schemas import CorrectionIn, CorrectionOut, ReplyFilter, ReplyOut, ReplySort
from api.inbox.replies.service import Meaning

router = create_router("/api/workspaces/{workspaceId}/replies", "replies")


@router.get("", operation_id="listReplies", responses=responses(NotFound))
async def list_replies(
    member: MemberDep,
    page: Annotated[PageRequest, Depends(sorted_by(ReplySort))],
    wanted: Annotated[ReplyFilter, Query()],
) -> Page[ReplyOut]:
    """What people sent back, newest first; what nobody has read yet has neither intent nor isAutomatic."""
    return to_page(ReplyOut, await service.list_replies(member.session, member.workspace_id, page, wanted), page)


@router.get("/corrections", operation_id="listReplyCorrections", responses=responses(NotFound))
async def list_corrections(member: MemberDep, page: PageDep) -> Page[CorrectionOut]:
    """What people said that replies mean, newest first: labelled replies to judge and better the reading by."""
    return to_page(CorrectionOut, await service.list_corrections(member.session, member.workspace_id, page), page)


@router.get("/{replyId}", operation_id="getReply", responses=responses(NotFound))
async def get_reply(member: MemberDep, reply_id: ReplyId) -> ReplyOut:
    """One reply."""
    return ReplyOut.of(await service.get_reply(member.session, member.workspace_id, reply_id))


@router.post("/{replyId}/correct", operation_id="correctReply", responses=responses(NotFound))
async def correct_reply(member: MemberDep, reply_id: ReplyId, body: CorrectionIn) -> ReplyOut:
    """Say what a reply means: it acts as if it had been read so at once; a suppression it led to stays."""
    meaning = Meaning(body.intent, body.by_machine, body.return_date)
    corrected = await service.correct_reply(
        member.session, member.workspace_id, reply_id, meaning, by=member.caller.user_id, now=member.now
    )
    return ReplyOut.of(corrected)
