"""Endpoints that providers call: Everlytic for events, mailbox services for replies."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response

from api.delivery.webhooks import service
from api.delivery.webhooks.service import Delivery, ReceiverCache, require_basic_auth
from api.http.dependencies import ServicesDep
from api.http.errors import Malformed, NotFound, TooLarge, responses
from api.http.pagination import Wire
from api.http.resources import Services
from api.http.routing import Route, create_router
from api.inbox.inbound import service as inbound
from api.inbox.inbound.posted import detect_kind, read_posted
from api.inbox.inbound.schemas import REQUEST_BODY
from api.inbox.inbound.service import Receipt
from database.tenancy import Scope, transaction

router = create_router("/api/webhooks", "webhooks")

MEGABYTE = 1024 * 1024
MAX_EVENT_BYTES = 5 * MEGABYTE
MAX_MESSAGE_BYTES = 25 * MEGABYTE
"""The limit of mailbox services themselves, including attachments."""


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


async def get_receiver_cache(request: Request, services: ServicesDep) -> ReceiverCache:
    """Return the cache of webhook tokens that all requests of the process share."""
    state = request.app.state
    if not hasattr(state, "receivers"):
        state.receivers = ReceiverCache(services.pool, services.secrets)
    receivers: ReceiverCache = state.receivers
    return receivers


ReceiversDep = Annotated[ReceiverCache, Depends(get_receiver_cache)]


async def receive_events(
    request: Request, token: str, authorization: Annotated[str | None, Header()] = None
) -> Response:
    """Receive events from Everlytic as JSON or form data, in either field set; they are stored before the answer."""
    services: Services = request.app.state.services
    receiver = await (await get_receiver_cache(request, services)).find(token)
    require_basic_auth(receiver, authorization)
    content_type = request.headers.get("Content-Type", "application/json")
    delivery = Delivery(content_type, await _read_body(request, MAX_EVENT_BYTES), services.clock.now())
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


class ReplyReceipt(WebhookReceipt):
    """The reply is stored or was stored before; with `own` it is ignored, because the workspace itself sent it."""

    own: bool = False


@router.post(
    "/inbound/{token}",
    operation_id="receiveReply",
    responses=responses(NotFound, TooLarge, Malformed),
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def receive_reply(request: Request, token: str, services: ServicesDep, receivers: ReceiversDep) -> ReplyReceipt:
    """Receive a reply that a mailbox service forwards, raw or as JSON; the token in the URL is the credential."""
    receiver = await receivers.find(token)
    kind = detect_kind(request.headers.get("Content-Type", ""))
    body = await _read_body(request, MAX_MESSAGE_BYTES)
    # Parse in a thread: a large message with many parts takes seconds.
    message = await asyncio.to_thread(read_posted, body, kind)
    now, public_url = services.clock.now(), services.settings.public_url
    async with transaction(services.pool, Scope(workspace_id=receiver.workspace_id)) as session:
        receipt = await inbound.receive_message(
            session, receiver.workspace_id, message, public_url=public_url, received_at=now, now=now
        )
    return ReplyReceipt(
        stored=receipt is not Receipt.OWN, duplicate=receipt is Receipt.DUPLICATE, own=receipt is Receipt.OWN
    )


async def _read_body(request: Request, max_bytes: int) -> bytes:
    """Return the body of a request; raises TooLarge as soon as it exceeds `max_bytes`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise TooLarge(f"The request body is larger than {max_bytes // MEGABYTE} MB.")
    return bytes(body)
