"""HTTP for a lead's timeline."""

from datetime import datetime

from api.http.dependencies import MemberDep, PageDep
from api.http.errors import NotFound, responses
from api.http.pagination import Page
from api.http.routing import LeadId, create_router
from api.people.timeline import service
from api.people.timeline.schemas import TimelineItem

router = create_router("/api/workspaces/{workspaceId}/leads", "leads")


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
