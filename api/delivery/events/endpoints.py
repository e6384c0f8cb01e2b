"""Endpoints for events, and for the unsubscribe link in every mail."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from starlette.convertors import PathConvertor, register_url_convertor

from api.delivery.events import repository, service
from api.delivery.events.schemas import EventFilter, EventOut, EventSort
from api.http.dependencies import MemberDep, ServicesDep
from api.http.errors import NotFound, responses
from api.http.pagination import Page, PageRequest, sorted_by, to_page
from api.http.routing import EventId, Route, create_router
from api.people.suppressions import page as pages
from api.people.suppressions.tokens import InvalidToken, read_unsubscribe_link
from database.tenancy import Scope, transaction


class RestConvertor(PathConvertor):
    """The rest of a path, also across the line breaks that a mail program leaves in a link."""

    regex = r"[\s\S]*"


register_url_convertor("rest", RestConvertor())
public_router = APIRouter(tags=["public"], default_response_class=HTMLResponse, route_class=Route)
BROKEN_LINK = {**responses(), 404: {"description": "A page that says that the link does not work."}}
LINK_PATHS = ("/u", "/U", "/U/{token:rest}", "//u/{token:rest}", "//U/{token:rest}")
"""Paths that mail programs and people make of a link, besides `/u/` and its token."""
router = create_router("/api/workspaces/{workspaceId}/events", "events")


@router.get("", operation_id="listEvents", responses=responses(NotFound))
async def list_events(
    member: MemberDep,
    page: Annotated[PageRequest, Depends(sorted_by(EventSort))],
    filters: Annotated[EventFilter, Query()],
) -> Page[EventOut]:
    """List what the provider reported about the workspace's messages, by default the latest stored first."""
    return to_page(EventOut, await repository.list_events(member.session, member.workspace_id, page, filters), page)


@router.get("/{eventId}", operation_id="getEvent", responses=responses(NotFound))
async def get_event(member: MemberDep, event_id: EventId) -> EventOut:
    """Get one event."""
    return EventOut.of(await service.get_event(member.session, member.workspace_id, event_id))


@public_router.head("/u/{token:rest}", include_in_schema=False)
@public_router.get("/u/{token:rest}", operation_id="showUnsubscribePage", responses=BROKEN_LINK)
async def show_unsubscribe_page(services: ServicesDep, token: str = "") -> HTMLResponse:
    """Show a page that asks whether to unsubscribe; it changes nothing, because mail scanners open every link."""
    try:
        link = read_unsubscribe_link(services.settings.secret_key.get_secret_value(), token)
        async with transaction(services.pool, Scope(workspace_id=link.workspace_id)) as session:
            recipient = await service.get_recipient(session, link)
    except (InvalidToken, NotFound):
        return HTMLResponse(pages.render_invalid_link(), status_code=404, headers=pages.HEADERS)
    page = pages.render_confirmation(sender=recipient.sender, address=recipient.address or "")
    return HTMLResponse(page, headers=pages.HEADERS)


@public_router.post("/u/{token:rest}", operation_id="unsubscribeByLink", responses=BROKEN_LINK)
async def unsubscribe_by_link(services: ServicesDep, token: str = "") -> HTMLResponse:
    """Unsubscribe with the button of the page or with one click in a mail program (RFC 8058); needs no login."""
    try:
        link = read_unsubscribe_link(services.settings.secret_key.get_secret_value(), token)
        async with transaction(services.pool, Scope(workspace_id=link.workspace_id)) as session:
            recipient = await service.unsubscribe_by_link(session, link, services.clock.now())
    except (InvalidToken, NotFound):
        return HTMLResponse(pages.render_invalid_link(), status_code=404, headers=pages.HEADERS)
    page = pages.render_done(sender=recipient.sender, address=recipient.address or "")
    return HTMLResponse(page, headers=pages.HEADERS)


for _path in LINK_PATHS:
    public_router.add_api_route(_path, show_unsubscribe_page, methods=["GET", "HEAD"], include_in_schema=False)
    public_router.add_api_route(_path, unsubscribe_by_link, methods=["POST"], include_in_schema=False)
