"""The list of all routers of the service."""

from fastapi import APIRouter

from api.accounts.endpoints import router as accounts
from api.accounts.usage.endpoints import router as usage
from api.accounts.workspaces.endpoints import router as workspaces
from api.analytics.endpoints import router as analytics
from api.delivery.events.endpoints import public_router as unsubscribe
from api.delivery.events.endpoints import router as events
from api.delivery.events.endpoints import webhook_router as webhooks
from api.delivery.unresolved_sends.endpoints import router as unresolved_sends
from api.imports.endpoints import router as imports
from api.inbox.inbound.endpoints import router as inbound
from api.inbox.mailbox.endpoints import router as mailboxes
from api.inbox.replies.endpoints import router as replies
from api.jobs.endpoints import router as jobs
from api.live.endpoints import router as live
from api.outreach.drafts.endpoints import router as drafts
from api.outreach.enrollments.endpoints import router as enrollments
from api.outreach.sequences.endpoints import router as sequences
from api.people.erasure.endpoints import router as erasure
from api.people.lead_lists.endpoints import router as lists
from api.people.leads.endpoints import router as leads
from api.people.suppressions.endpoints import router as suppressions
from api.telemetry.health import router as health

ROUTERS: list[APIRouter] = [
    # Most requested first: a path is compared with the routes in this order.
    webhooks,
    inbound,
    leads,
    accounts,
    workspaces,
    suppressions,
    lists,
    imports,
    sequences,
    enrollments,
    drafts,
    unresolved_sends,
    events,
    replies,
    mailboxes,
    erasure,
    jobs,
    usage,
    analytics,
    live,
    unsubscribe,
    health,
]
