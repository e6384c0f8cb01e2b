"""HTTP for leads."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, status
from pydantic import ValidationError

from api.http.dependencies import MemberDep, PageDep
from api.http.errors import (
    AlreadyExists,
    Conflict,
    FieldProblem,
    NotFound,
    PreconditionFailed,
    field_problems,
    responses,
)
from api.http.pagination import Page, PageRequest, sorted_by, to_page
from api.http.preconditions import IfMatch
from api.http.routing import LeadId, create_router
from api.people.leads import repository, service
from api.people.leads.merging import RowStatus, Values
from api.people.leads.schemas import (
    BulkLeadsIn,
    BulkLeadsOut,
    BulkRow,
    LeadChange,
    LeadDetail,
    LeadFilter,
    LeadIn,
    LeadOut,
    LeadSort,
    TimelineItem,
)

router = create_router("/api/workspaces/{workspaceId}/leads", "leads")


@router.post(
    "",
    operation_id="createLead",
    status_code=status.HTTP_201_CREATED,
    responses=responses(NotFound, AlreadyExists),
)
async def create_lead(member: MemberDep, body: LeadIn) -> LeadDetail:
    """Create a lead; a suppressed address can be a lead, but is never mailed."""
    lead = await service.create_lead(member.session, member.workspace_id, body.model_dump())
    return await service.build_detail(member.session, lead)


@router.get("", operation_id="listLeads", responses=responses(NotFound))
async def list_leads(
    member: MemberDep,
    page: Annotated[PageRequest, Depends(sorted_by(LeadSort))],
    filters: Annotated[LeadFilter, Query()],
) -> Page[LeadOut]:
    """List the leads of the workspace."""
    return to_page(LeadOut, await repository.list_leads(member.session, member.workspace_id, page, filters), page)


@router.post("/bulk", operation_id="addLeads", responses=responses(NotFound))
async def add_leads(member: MemberDep, body: BulkLeadsIn) -> BulkLeadsOut:
    """Create or update many leads; each row has its own result, even an invalid row."""
    rows: dict[int, Values] = {}
    results = []
    for index, row in enumerate(body.leads):
        try:
            rows[index] = LeadIn.model_validate(row).model_dump()
        except ValidationError as error:
            results.append(_refused(index, row, error))
    results += await service.add_leads(member.session, member.workspace_id, rows, body.on_existing)
    return BulkLeadsOut(results=sorted(results, key=lambda row: row.index))


def _refused(index: int, row: object, error: ValidationError) -> BulkRow:
    problems = [FieldProblem(**problem) for problem in field_problems(error.errors(), row)]
    return BulkRow(index=index, status=RowStatus.INVALID, lead_id=None, errors=problems)


@router.get("/{leadId}", operation_id="getLead", responses=responses(NotFound))
async def get_lead(member: MemberDep, lead_id: LeadId) -> LeadDetail:
    """Get a lead."""
    lead = await service.get_lead(member.session, member.workspace_id, lead_id)
    return await service.build_detail(member.session, lead)


@router.get("/{leadId}/timeline", operation_id="getLeadTimeline", responses=responses(NotFound))
async def get_timeline(member: MemberDep, page: PageDep, lead_id: LeadId) -> Page[TimelineItem]:
    """List the events of a lead, newest first: status, enrollments, messages, replies and suppressions."""
    before = (datetime.fromisoformat(page.after[0]), page.after[1]) if page.after is not None else None
    rows = await service.list_timeline(
        member.session,
        member.workspace_id,
        lead_id,
        clock=member.services.clock,
        before=before,
        limit=page.limit + 1,
    )
    items = [TimelineItem.of(row) for row in rows[: page.limit]]
    has_more = len(rows) > page.limit
    cursor = page.cursors.write(page.place, [items[-1].at.isoformat(), items[-1].id]) if has_more else None
    return Page(items=items, next_cursor=cursor)


@router.patch("/{leadId}", operation_id="changeLead", responses=responses(NotFound, AlreadyExists, PreconditionFailed))
async def change_lead(member: MemberDep, lead_id: LeadId, body: LeadChange, if_match: IfMatch) -> LeadDetail:
    """Change a lead; fields that are left out stay unchanged."""
    locked = await service.lock_lead(member.session, member.workspace_id, lead_id, joins=body.list_id)
    if_match.require(await service.build_detail(member.session, locked))
    changed = await service.change_lead(member.session, locked, body.model_dump(exclude_unset=True))
    return await service.build_detail(member.session, changed)


@router.post("/{leadId}/restore", operation_id="restoreLead", responses=responses(NotFound, AlreadyExists))
async def restore_lead(member: MemberDep, lead_id: LeadId) -> LeadDetail:
    """Restore a deleted lead, in its list if that still exists; its enrollments stay paused until they are resumed."""
    restored = await service.restore_lead(member.session, member.workspace_id, lead_id)
    return await service.build_detail(member.session, restored)


@router.post("/{leadId}/qualify", operation_id="qualifyLead", responses=responses(NotFound, Conflict))
async def qualify_lead(member: MemberDep, lead_id: LeadId) -> LeadDetail:
    """Mark a lead that replied as qualified."""
    cause = f"user {member.caller.user_id}"
    qualified = await service.qualify_lead(member.session, member.workspace_id, lead_id, cause=cause, now=member.now)
    return await service.build_detail(member.session, qualified)


@router.post("/{leadId}/unsubscribe", operation_id="unsubscribeLead", responses=responses(NotFound))
async def unsubscribe_lead(member: MemberDep, lead_id: LeadId) -> LeadDetail:
    """Unsubscribe a lead permanently: suppress the address and end every enrollment. Repeating it changes nothing."""
    lead = await service.unsubscribe_lead(
        member.session, member.workspace_id, lead_id, cause=f"by {member.caller.user_id}", now=member.now
    )
    return await service.build_detail(member.session, lead)


@router.delete(
    "/{leadId}", operation_id="deleteLead", status_code=204, responses=responses(NotFound, PreconditionFailed)
)
async def delete_lead(member: MemberDep, lead_id: LeadId, if_match: IfMatch) -> None:
    """Delete a lead until it is restored: its address is free again, and its enrollments are paused."""
    lead = await service.lock_lead(member.session, member.workspace_id, lead_id)
    if_match.require(await service.build_detail(member.session, lead))
    await service.delete_lead(member.session, lead, now=member.now)
