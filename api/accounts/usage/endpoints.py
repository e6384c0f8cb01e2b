"""HTTP for model usage."""

from api.accounts.usage import service
from api.accounts.usage.schemas import AiWorkflow, TodaysBudget, UsageDay, UsageOut
from api.http.dependencies import MemberDep
from api.http.errors import NotFound, responses
from api.http.periods import Days, End, Start
from api.http.routing import create_router

router = create_router("/api/workspaces/{workspaceId}/ai", "ai")


@router.get("/usage", operation_id="getAiUsage", responses=responses(NotFound))
async def get_ai_usage(
    member: MemberDep, start: Start = None, end: End = None, workflow: AiWorkflow | None = None
) -> UsageOut:
    """Get calls, tokens and cost by day, workflow and model, by default of the last 30 days."""
    budget = await service.get_budget(member.session, member.workspace_id, member.now)
    days = Days.of(start, end, lambda: budget.day)
    used = await service.list_usage(member.session, member.workspace_id, days, workflow)
    return UsageOut(today=TodaysBudget.of(budget), days=[UsageDay.of(day) for day in used])
