"""The endpoint that Everlytic pushes events to."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Header, Request, Response

from api.accounts.workspaces.receivers import get_receiver_cache, require_basic_auth
from api.delivery.webhooks import service
from api.delivery.webhooks.service import Delivery
from api.http.errors import NotFound, TooLarge, responses
from api.http.pagination import Wire
from api.http.resources import Services
from api.http.routing import Route, create_router, read_body

router = create_router("/api/webhooks", "webhooks")

MAX_EVENT_MEGABYTES = 5


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


class WebhookReceipt(Wire):
    """The request is stored; `duplicate` is true if it was stored before."""

    stored: bool = True
    duplicate: bool = False


async def receive_events(
    request: Request, token: str, authorization: Annotated[str | None, Header()] = None
) -> Response:
    """Receive events from Everlytic as JSON or form data, in either field set; they are stored before the answer."""
    services: Services = request.app.state.services
    receiver = await (await get_receiver_cache(request, services)).find(token)
    require_basic_auth(receiver, authorization)
    content_type = request.headers.get("Content-Type", "application/json")
    delivery = Delivery(content_type, await read_body(request, MAX_EVENT_MEGABYTES), services.clock.now())
    await services.batches.run(service.store_deliveries, receiver.workspace_id, delivery)
    return Response(_STORED, media_type="application/json")


_STORED = WebhookReceipt().model_dump_json(by_alias=True)
router.add_api_route(
    "/everlytic/{token}",
    receive_events,
    methods=["POST"],
    operation_id="receiveEverlyticEvents",
    response_model=WebhookReceipt,
    responses=responses(NotFound, TooLarge),
    route_class_override=DirectRoute,
)
