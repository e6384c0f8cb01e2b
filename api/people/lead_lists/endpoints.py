"""HTTP for lead lists."""

from fastapi import status

from api.http.dependencies import MemberDep, PageDep
from api.http.errors import NotFound, PreconditionFailed, responses
from api.http.pagination import Page, to_page
from api.http.preconditions import IfMatch
from api.http.routing import ListId, create_router
from api.people.lead_lists import repository, service
from api.people.lead_lists.schemas import LeadListChange, LeadListIn, LeadListOut

router = create_router("/api/workspaces/{workspaceId}/lead-lists", "leads")


@router.post("", operation_id="createLeadList", status_code=status.HTTP_201_CREATED, responses=responses(NotFound))
async def create_list(member: MemberDep, body: LeadListIn) -> LeadListOut:
    """Create an empty list."""
    return LeadListOut.of(await service.create_list(member.session, member.workspace_id, body.name))


@router.get("", operation_id="listLeadLists", responses=responses(NotFound))
async def list_lists(member: MemberDep, page: PageDep) -> Page[LeadListOut]:
    """List the lead lists of the workspace, newest first."""
    return to_page(LeadListOut, await repository.list_lists(member.session, member.workspace_id, page), page)


@router.get("/{listId}", operation_id="getLeadList", responses=responses(NotFound))
async def get_list(member: MemberDep, list_id: ListId) -> LeadListOut:
    """Get a lead list."""
    return LeadListOut.of(await service.get_list(member.session, member.workspace_id, list_id))


@router.patch("/{listId}", operation_id="changeLeadList", responses=responses(NotFound, PreconditionFailed))
async def change_list(member: MemberDep, list_id: ListId, body: LeadListChange, if_match: IfMatch) -> LeadListOut:
    """Rename a list; its ETag also changes with its count."""
    locked = await service.lock_list(member.session, member.workspace_id, list_id)
    if_match.require(LeadListOut.of(locked))
    return LeadListOut.of(await service.rename_list(member.session, locked, body.name))


@router.delete(
    "/{listId}",
    operation_id="deleteLeadList",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(NotFound, PreconditionFailed),
)
async def delete_list(member: MemberDep, list_id: ListId, if_match: IfMatch) -> None:
    """Delete a list; its leads stay, without the list."""
    locked = await service.lock_list_exclusive(member.session, member.workspace_id, list_id)
    if_match.require(LeadListOut.of(locked))
    await service.delete_list(member.session, locked)
