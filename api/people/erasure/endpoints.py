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
    """Take away, for good, all that says who a lead is, deleted or not; the address is never mailed again.

    Every lead that has or had this address goes with it. Enrollments, messages, events and replies stay to be counted,
    without content. Uploaded files and the provider's records are cleaned by a job. Everlytic's own records are not
    ours: what is read from there again, or comes in later, is new. A second time changes nothing.
    """
    await service.erase_person(
        member.session,
        member.services.secrets,
        member.workspace_id,
        lead_id,
        actor=member.caller.user_id,
        now=member.now,
    )
