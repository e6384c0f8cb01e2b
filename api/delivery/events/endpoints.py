"""Endpoints for events, for the webhook that Everlytic pushes them to, and for the unsubscribe link in every mail."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import HTMLResponse
from starlette.convertors import PathConvertor, register_url_convertor

from api.accounts.workspaces.receivers import get_receiver_cache, require_basic_auth
from api.delivery.events import page as pages
from api.delivery.events import repository, service
from api.delivery.events.repository import Delivery
from api.delivery.events.schemas import EventFilter, EventOut, EventSort, WebhookReceipt
from api.http.dependencies import MemberDep, ServicesDep
from api.http.errors import NotFound, TooLarge, responses
from api.http.pagination import Page, PageRequest, sorted_by, to_page
from api.http.resources import Services
from api.http.routing import EventId, Route, create_router, read_body
from database.tenancy import Scope, transaction
from domain.unsubscribe_link import InvalidToken, read_unsubscribe_link


class RestConvertor(PathConvertor):
    """The rest of a path, also across the line breaks that a mail program leaves in a link."""

    regex = r"[\s\S]*"


register_url_convertor("rest", RestConvertor())
public_router = APIRouter(tags=["public"], default_response_class=HTMLResponse, route_class=Route)
BROKEN_LINK = {**responses(), 404: {"description": "A page that says that the link does not work."}}
LINK_PATHS = ("/u", "/U", "/U/{token:rest}", "//u/{token:rest}", "//U/{token:rest}")
"""Paths that mail programs and people make of a link, besides `/u/` and its token."""
MAX_PUSH_MEGABYTES = 5
router = create_router("/api/workspaces/{workspaceId}/events", "events")
webhook_router = create_router("/api/webhooks", "webhooks")


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


class DirectRoute(Route):
    """A route that calls its endpoint with the token and the Authorization header, without FastAPI's dependencies."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler that calls the endpoint."""
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            response: Response = await endpoint(
                request, request.path_params["token"], request.headers.get("Authorization")
            )
            return response

        return handle


async def receive_events(
    request: Request, token: str, authorization: Annotated[str | None, Header()] = None
) -> Response:
    """Receive events from Everlytic as JSON or form data; they are stored before the answer."""
    services: Services = request.app.state.services
    receiver = await (await get_receiver_cache(request, services)).find(token)
    require_basic_auth(receiver, authorization)
    content_type = request.headers.get("Content-Type", "application/json")
    delivery = Delivery(content_type, await read_body(request, MAX_PUSH_MEGABYTES), services.clock.now())
    await services.batches.run(service.store_deliveries, receiver.workspace_id, delivery)
    return Response(_STORED, media_type="application/json")


_STORED = WebhookReceipt().model_dump_json(by_alias=True)
webhook_router.add_api_route(
    "/everlytic/{token}",
    receive_events,
    methods=["POST"],
    operation_id="receiveEverlyticEvents",
    response_model=WebhookReceipt,
    responses=responses(NotFound, TooLarge),
    route_class_override=DirectRoute,
)
