"""Endpoints for events, for the webhook that Everlytic pushes them to, and for the unsubscribe link in every mail."""

from collections.abc import Callable, Coroutine
from ipaddress import ip_address, ip_network
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import HTMLResponse
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.convertors import PathConvertor, register_url_convertor

from api.accounts.workspaces.receivers import get_receiver_cache, require_basic_auth
from api.delivery.events import links, repository, service
from api.delivery.events import page as pages
from api.delivery.events.repository import Delivery
from api.delivery.events.schemas import EventFilter, EventOut, EventSort, WebhookReceipt
from api.http.dependencies import MemberDep, ServicesDep
from api.http.errors import NotFound, TooLarge, responses
from api.http.pages import HEADERS
from api.http.pagination import Page, PageRequest, sorted_by, to_page
from api.http.resources import Services
from api.http.routing import EventId, Route, create_router, read_body
from database.tenancy import Scope, transaction
from domain.storable_text import remove_unstorable
from domain.suppression import MAX_ADDRESS_CHARACTERS, normalise_address
from domain.unsubscribe_link import InvalidToken, find_workspace_id, read_unsubscribe_link


class RestConvertor(PathConvertor):
    """The rest of a path, also across the line breaks that a mail program leaves in a link."""

    regex = r"[\s\S]*"


register_url_convertor("rest", RestConvertor())
# Plain routes: whatever stands in the query or the body of a link, it is no JSON and no error.
public_router = APIRouter(tags=["public"], default_response_class=HTMLResponse)
BROKEN_LINK = {**responses(), 404: {"description": "A page with a form that requests another link."}}
PATH = "/u/{token:rest}"
OTHER_PATHS = ("/u", "/U", "/U/{token:rest}", "//u/{token:rest}", "//U/{token:rest}")
"""Paths that mail programs and people make of a link, besides `/u/` and its token."""
METHODS = "GET, HEAD, POST, OPTIONS"
REQUESTS_OF_CLIENT = parse("10/hour")
"""How many links one client may request, in each process."""
MAX_FORM_BYTES = 4096
MAX_PUSH_MEGABYTES = 5
router = create_router("/api/workspaces/{workspaceId}/events", "events")
webhook_router = create_router("/api/webhooks", "webhooks", route_class=Route)


async def get_limiter(request: Request) -> FixedWindowRateLimiter:
    """Return the counter of requests for links that all requests of the process share."""
    state = request.app.state
    if not hasattr(state, "link_requests"):
        state.link_requests = FixedWindowRateLimiter(MemoryStorage())
    limiter: FixedWindowRateLimiter = state.link_requests
    return limiter


LimiterDep = Annotated[FixedWindowRateLimiter, Depends(get_limiter)]


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


@public_router.head(PATH, include_in_schema=False)
@public_router.get(PATH, operation_id="showUnsubscribePage", responses=BROKEN_LINK)
async def show_unsubscribe_page(services: ServicesDep, token: str = "") -> HTMLResponse:
    """Show a page that asks whether to unsubscribe; it changes nothing, because mail scanners open every link."""
    try:
        link = read_unsubscribe_link(services.settings.secret_key.get_secret_value(), token)
        async with transaction(services.pool, Scope(workspace_id=link.workspace_id)) as session:
            recipient = await service.get_recipient(session, link)
    except (InvalidToken, NotFound):
        return _page(pages.render_unreadable_link(), 404)
    return _page(pages.render_confirmation(sender=recipient.sender, address=recipient.address or ""))


@public_router.post(
    PATH,
    operation_id="unsubscribeByLink",
    responses={
        **BROKEN_LINK,
        202: {"description": "Another link was requested with the form of the page for a broken link."},
        429: {"description": "A page: this client has requested too many links."},
    },
)
async def unsubscribe_by_link(
    request: Request, services: ServicesDep, limiter: LimiterDep, token: str = ""
) -> HTMLResponse:
    """Unsubscribe with the button of the page or with one click in a mail program (RFC 8058).

    With a link that cannot be read, a form with the field `email` requests another link by email.
    """
    try:
        link = read_unsubscribe_link(services.settings.secret_key.get_secret_value(), token)
        async with transaction(services.pool, Scope(workspace_id=link.workspace_id)) as session:
            recipient = await service.unsubscribe_by_link(session, link, services.clock.now())
    except (InvalidToken, NotFound):
        return await _request_link(request, services, limiter, token)
    return _page(pages.render_done(sender=recipient.sender, address=recipient.address or ""))


async def answer_other_methods(request: Request) -> Response:
    """Answer OPTIONS with the methods, and refuse all others with a page."""
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": METHODS})
    page = pages.render_unreadable_link("Open the link in a browser to unsubscribe.")
    return HTMLResponse(page, status_code=405, headers={**HEADERS, "Allow": METHODS})


for _path in OTHER_PATHS:
    public_router.add_api_route(_path, show_unsubscribe_page, methods=["GET", "HEAD"], include_in_schema=False)
    public_router.add_api_route(_path, unsubscribe_by_link, methods=["POST"], include_in_schema=False)
for _path in (PATH, *OTHER_PATHS):
    public_router.add_api_route(
        _path,
        answer_other_methods,
        methods=["OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"],
        include_in_schema=False,
    )


async def _request_link(
    request: Request, services: Services, limiter: FixedWindowRateLimiter, token: str
) -> HTMLResponse:
    """Answer the form that requests another link; the page does not tell whether one is sent."""
    text = await _read_address(request)
    if text is None:
        return _page(pages.render_unreadable_link(), 404)
    address = normalise_address(remove_unstorable(text))
    local, _, domain = address.rpartition("@")
    if not local or not domain or len(address) > MAX_ADDRESS_CHARACTERS:
        return _page(pages.render_unreadable_link("This is not an email address."), 422)
    if not await limiter.hit(REQUESTS_OF_CLIENT, _name_client(request)):
        page = pages.render_unreadable_link("Too many links were requested from here. Try again in an hour.")
        return HTMLResponse(page, status_code=429, headers={**HEADERS, "Retry-After": "3600"})
    async with transaction(services.pool, Scope()) as session:
        await links.request_link(
            session, address=address, named_workspace_id=find_workspace_id(token), now=services.clock.now()
        )
    return _page(pages.render_link_requested(address), 202)


async def _read_address(request: Request) -> str | None:
    """Return the address in a form; None for any other body, such as the one of a mail program."""
    if not request.headers.get("Content-Type", "").lower().startswith("application/x-www-form-urlencoded"):
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            return None
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return next(iter(fields.get(pages.ADDRESS_FIELD, ())), None)


def _name_client(request: Request) -> str:
    """Return the network of a client: its IPv4 address, or the network of its IPv6 address."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else host  # noqa: PLR2004 - IPv6


def _page(content: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(content, status_code=status, headers=HEADERS)


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
