"""HTTP for erasing a lead."""

from fastapi import status

from api.http.dependencies import MemberDep
from api.http.errors import NotFound, responses
from api.http.routing import LeadId, create_router
from api.people.erasure import service

router = create_router("/api/workspaces/{workspaceId}/leads", "leads")


@router.post(
    "/{leadId}/erase",
    operation_id="eraseLead",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(NotFound),
)
async def erase_lead(member: MemberDep, lead_id: LeadId) -> None:
    """Erase the personal data of a lead permanently, deleted or not; the address is never mailed again.

    All leads with this address are erased. Earlier addresses that these leads were mailed at are erased and suppressed
    too, except in another lead that has one now. Enrollments, messages, events and replies stay without content, for
    statistics. A job erases uploaded files and the provider's records. Records at Everlytic are not erased: what is
    synced or received from there later is new. Repeating it changes nothing.
    """
    await service.erase_person(
        member.session,
        member.services.secrets,
        member.workspace_id,
        lead_id,
        actor=member.caller.user_id,
        now=member.now,
    )
