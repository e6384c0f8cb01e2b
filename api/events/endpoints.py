"""HTTP for events, and for the unsubscribe link in every mail."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from api.dependencies import MemberDep, PageDep, ServicesDep
from api.errors import NotFound, Unauthorized, responses
from api.events import service
from api.events.schemas import EventOut
from api.pagination import Page, to_page
from api.suppressions import page as pages
from api.suppressions.tokens import InvalidToken, read_unsubscribe_token
from database.models import EmailEventType
from database.tenancy import Scope, transaction

public_router = APIRouter(prefix="/u", tags=["public"], default_response_class=HTMLResponse)
BROKEN_LINK = {**responses(), 404: {"description": "A page that says that the link does not work."}}
router = APIRouter(prefix="/api/workspaces/{workspaceId}/events", tags=["events"])


@router.get("", operation_id="listEvents", responses=responses(Unauthorized, NotFound))
async def list_events(
    member: MemberDep,
    page: PageDep,
    draft_id: Annotated[UUID | None, Query(alias="draftId")] = None,
    event_type: Annotated[EmailEventType | None, Query(alias="type")] = None,
) -> Page[EventOut]:
    """What the provider told of the workspace's messages, newest first."""
    found = await service.list_events(
        member.session, member.workspace_id, page, draft_id=draft_id, event_type=event_type
    )
    return to_page(EventOut, found, page)


@public_router.get("/{token}", operation_id="showUnsubscribePage", responses=BROKEN_LINK)
async def show_unsubscribe_page(token: str, services: ServicesDep) -> HTMLResponse:
    """Ask whether to unsubscribe; changes nothing, because mail scanners open every link."""
    try:
        link = read_unsubscribe_token(services.settings.secret_key.get_secret_value(), token)
        async with transaction(services.pool, Scope(workspace_id=link.workspace_id)) as session:
            recipient = await service.recipient_of(session, link)
    except (InvalidToken, NotFound):
        return HTMLResponse(pages.broken_page(), status_code=404, headers=pages.HEADERS)
    shown = pages.confirm_page(sender=recipient.sender, address=recipient.address)
    return HTMLResponse(shown, headers=pages.HEADERS)


@public_router.post("/{token}", operation_id="unsubscribeByLink", responses=BROKEN_LINK)
async def unsubscribe_by_link(token: str, services: ServicesDep) -> HTMLResponse:
    """Unsubscribe, by the page's button or by a mail program's one click (RFC 8058); needs no login."""
    try:
        link = read_unsubscribe_token(services.settings.secret_key.get_secret_value(), token)
        async with transaction(services.pool, Scope(workspace_id=link.workspace_id)) as session:
            recipient = await service.unsubscribe_by_link(session, link, services.clock.now())
    except (InvalidToken, NotFound):
        return HTMLResponse(pages.broken_page(), status_code=404, headers=pages.HEADERS)
    shown = pages.done_page(sender=recipient.sender, address=recipient.address)
    return HTMLResponse(shown, headers=pages.HEADERS)
