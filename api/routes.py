"""Every router of the service, in one list."""

from fastapi import APIRouter

from api.analytics.endpoints import router as analytics
from api.drafts.endpoints import router as drafts
from api.enrollments.endpoints import router as enrollments
from api.events.endpoints import public_router as unsubscribe
from api.events.endpoints import router as events
from api.imports.endpoints import router as imports
from api.jobs.endpoints import router as jobs
from api.leads.endpoints import router as leads
from api.replies.endpoints import router as replies
from api.sequences.endpoints import router as sequences
from api.suppressions.endpoints import router as suppressions
from api.webhooks.endpoints import router as webhooks
from api.workspaces.endpoints import router as workspaces

ROUTERS: list[APIRouter] = [
    workspaces,
    suppressions,
    leads,
    imports,
    sequences,
    enrollments,
    drafts,
    events,
    replies,
    webhooks,
    jobs,
    analytics,
    unsubscribe,
]
