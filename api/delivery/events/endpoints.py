"""HTTP for events, and for the unsubscribe link in every mail."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse

from api.delivery.events import service
from api.delivery.events.schemas import EventFilter, EventOut, EventSort
from api.http.dependencies import MemberDep, ServicesDep
from api.http.errors import NotFound, responses
from api.http.pagination import Page, PageRequest, sorted_by, to_page
from api.http.routing import EventId, Route, room_router
from api.people.suppressions import page as pages
from api.people.suppressions.tokens import InvalidToken, read_unsubscribe_token
from database.tenancy import Scope, transaction

public_router = APIRouter(prefix="/u", tags=["public"], default_response_class=HTMLResponse, route_class=Route)
BROKEN_LINK = {**responses(), 404: {"description": "A page that says that the link does not work."}}
router = room_router("/api/workspaces/{workspaceId}/events", "events")


@router.get("", operation_id="listEvents", responses=responses(NotFound))
async def list_events(
    member: MemberDep,
    page: Annotated[PageRequest, Depends(sorted_by(EventSort))],
    wanted: Annotated[EventFilter, Query()],
) -> Page[EventOut]:
    """What the provider told of the workspace's messages, by default in the order it became known, newest first."""
    return to_page(EventOut, await service.list_events(member.session, member.workspace_id, page, wanted), page)


@router.get("/{eventId}", operation_id="getEvent", responses=responses(NotFound))
async def get_event(member: MemberDep, event_id: EventId) -> EventOut:
    """One event."""
    return EventOut.of(await service.get_event(member.session, member.workspace_id, event_id))


@public_router.head("/{token}", include_in_schema=False)
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
