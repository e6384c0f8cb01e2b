"""Endpoints for sends of unknown outcome, and for the user who settles them."""

from typing import Annotated

from fastapi import Query

from api.delivery.unresolved_sends import service
from api.delivery.unresolved_sends.schemas import SettleIn, SettlementOut, UnknownSendOut
from api.http.dependencies import MemberDep, PageDep
from api.http.errors import Conflict, NotFound, responses
from api.http.pagination import Page, to_page
from api.http.routing import DraftId, create_router

router = create_router("/api/workspaces/{workspaceId}/unknown-sends", "unknown sends")
UNKNOWN_SEND = "/{draftId}"


@router.get("", operation_id="listUnknownSends", responses=responses(NotFound))
async def list_unknown_sends(
    member: MemberDep,
    page: PageDep,
    is_stuck: Annotated[
        bool | None,
        Query(
            alias="isStuck", description="true: only sends that you have to settle; false: only those still looked up."
        ),
    ] = None,
) -> Page[UnknownSendOut]:
    """List mails that Everlytic may or may not have accepted, newest first, with what is known about each."""
    sends = await service.list_unknown_sends(member.session, member.workspace, page, is_stuck=is_stuck, now=member.now)
    return to_page(UnknownSendOut, sends, page)


@router.get(UNKNOWN_SEND, operation_id="getUnknownSend", responses=responses(NotFound))
async def get_unknown_send(member: MemberDep, draft_id: DraftId) -> UnknownSendOut:
    """Get the send of a draft while its outcome is unknown."""
    return UnknownSendOut.of(await service.get_unknown_send(member.session, member.workspace, draft_id, member.now))


@router.post(f"{UNKNOWN_SEND}/settle", operation_id="settleUnknownSend", responses=responses(NotFound, Conflict))
async def settle_unknown_send(member: MemberDep, draft_id: DraftId, body: SettleIn) -> SettlementOut:
    """Settle a send: with `sent` its sequence continues; with `not_sent`, once it is stuck, the mail is sent again.

    Before you choose `not_sent`, make sure that the recipient has not received the mail: it would get it twice.
    """
    settlement = await service.settle_send(
        member.session,
        member.workspace,
        draft_id,
        body.decision,
        note=body.note,
        by=member.caller.user_id,
        now=member.now,
    )
    return SettlementOut.of(settlement)
