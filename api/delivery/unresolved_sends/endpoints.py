"""HTTP for sends of unknown outcome, and for the person who settles them."""

from typing import Annotated

from fastapi import Query

from api.delivery.unresolved_sends import service
from api.delivery.unresolved_sends.schemas import SettleIn, SettlementOut, UnknownSendOut
from api.http.dependencies import MemberDep, PageDep
from api.http.errors import Conflict, NotFound, responses
from api.http.pagination import Page, to_page
from api.http.routing import DraftId, room_router

router = room_router("/api/workspaces/{workspaceId}/unknown-sends", "unknown sends")
ONE = "/{draftId}"


@router.get("", operation_id="listUnknownSends", responses=responses(NotFound))
async def list_unknown_sends(
    member: MemberDep,
    page: PageDep,
    is_stuck: Annotated[
        bool | None, Query(alias="isStuck", description="Whether it waits for a person, or is still looked for.")
    ] = None,
) -> Page[UnknownSendOut]:
    """Mails that Everlytic may or may not have taken, newest first, with all that is known about them."""
    found = await service.list_unknown(member.session, member.workspace, page, is_stuck=is_stuck, now=member.now)
    return to_page(UnknownSendOut, found, page)


@router.get(ONE, operation_id="getUnknownSend", responses=responses(NotFound))
async def get_unknown_send(member: MemberDep, draft_id: DraftId) -> UnknownSendOut:
    """The send of a draft, while its outcome is unknown."""
    return UnknownSendOut.of(await service.get_unknown(member.session, member.workspace, draft_id, member.now))


@router.post(f"{ONE}/settle", operation_id="settleUnknownSend", responses=responses(NotFound, Conflict))
async def settle_unknown_send(member: MemberDep, draft_id: DraftId, body: SettleIn) -> SettlementOut:
    """Say what became of a send: `sent` lets its sequence go on, `not_sent`, once it is stuck, sends the mail again.

    Who says `not_sent` vouches that the recipient has not got it: nothing else keeps it from going out twice.
    """
    settled = await service.settle(
        member.session,
        member.workspace,
        draft_id,
        body.decision,
        note=body.note,
        by=member.caller.user_id,
        now=member.now,
    )
    return SettlementOut.of(settled)
