"""HTTP for leads and lists."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, status
from pydantic import AwareDatetime

from api.dependencies import MemberDep, PageDep
from api.errors import AlreadyExists, Conflict, NotFound, Unauthorized, responses
from api.leads import service
from api.leads.schemas import LeadChange, LeadIn, LeadListIn, LeadListOut, LeadOut
from api.pagination import Page, to_page
from api.suppressions.schemas import WITHOUT_NUL
from domain.lead import LeadSegment, LeadStatus

router = APIRouter(prefix="/api/workspaces/{workspaceId}", tags=["leads"])


@router.post(
    "/lead-lists",
    operation_id="createLeadList",
    status_code=status.HTTP_201_CREATED,
    responses=responses(Unauthorized, NotFound),
)
async def create_list(member: MemberDep, body: LeadListIn) -> LeadListOut:
    """Make an empty list."""
    return LeadListOut.model_validate(await service.create_list(member.session, member.workspace_id, body.name))


@router.get("/lead-lists", operation_id="listLeadLists", responses=responses(Unauthorized, NotFound))
async def list_lists(member: MemberDep, page: PageDep) -> Page[LeadListOut]:
    """The workspace's lists, newest first."""
    return to_page(LeadListOut, await service.list_lists(member.session, member.workspace_id, page), page)


@router.get("/lead-lists/{list_id}", operation_id="getLeadList", responses=responses(Unauthorized, NotFound))
async def get_list(member: MemberDep, list_id: UUID) -> LeadListOut:
    """One list."""
    return LeadListOut.model_validate(await service.get_list(member.session, member.workspace_id, list_id))


@router.post(
    "/leads",
    operation_id="createLead",
    status_code=status.HTTP_201_CREATED,
    responses=responses(Unauthorized, NotFound, AlreadyExists),
)
async def create_lead(member: MemberDep, body: LeadIn) -> LeadOut:
    """Add one person to write to."""
    return LeadOut.model_validate(await service.create_lead(member.session, member.workspace_id, body.model_dump()))


@router.get("/leads", operation_id="listLeads", responses=responses(Unauthorized, NotFound))
async def list_leads(
    member: MemberDep,
    page: PageDep,
    status: LeadStatus | None = None,
    segment: LeadSegment | None = None,
    list_id: Annotated[UUID | None, Query(alias="listId")] = None,
    q: Annotated[
        str | None, Query(max_length=200, pattern=WITHOUT_NUL, description="Part of a name, address, company or role.")
    ] = None,
    updated_since: Annotated[AwareDatetime | None, Query(alias="updatedSince")] = None,
) -> Page[LeadOut]:
    """The workspace's leads, newest first."""
    since: datetime | None = updated_since
    found = await service.list_leads(
        member.session,
        member.workspace_id,
        page,
        status=status,
        segment=segment,
        list_id=list_id,
        text=q,
        updated_since=since,
    )
    return to_page(LeadOut, found, page)


@router.get("/leads/{lead_id}", operation_id="getLead", responses=responses(Unauthorized, NotFound))
async def get_lead(member: MemberDep, lead_id: UUID) -> LeadOut:
    """One lead."""
    return LeadOut.model_validate(await service.get_lead(member.session, member.workspace_id, lead_id))


@router.patch("/leads/{lead_id}", operation_id="changeLead", responses=responses(Unauthorized, NotFound, AlreadyExists))
async def change_lead(member: MemberDep, lead_id: UUID, body: LeadChange) -> LeadOut:
    """Change a lead; what is left out stays."""
    values = body.model_dump(exclude_unset=True)
    return LeadOut.model_validate(await service.change_lead(member.session, member.workspace_id, lead_id, values))


@router.delete(
    "/leads/{lead_id}",
    operation_id="deleteLead",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(Unauthorized, NotFound),
)
async def delete_lead(member: MemberDep, lead_id: UUID) -> None:
    """Delete a lead; its address is free again."""
    await service.delete_lead(member.session, member.workspace_id, lead_id)


@router.post(
    "/leads/{lead_id}/qualify", operation_id="qualifyLead", responses=responses(Unauthorized, NotFound, Conflict)
)
async def qualify_lead(member: MemberDep, lead_id: UUID) -> LeadOut:
    """Take a lead that replied for qualified."""
    cause = f"user {member.caller.user_id}"
    qualified = await service.qualify(member.session, member.workspace_id, lead_id, cause=cause, now=member.now)
    return LeadOut.model_validate(qualified)
