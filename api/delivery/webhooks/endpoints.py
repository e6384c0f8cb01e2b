"""HTTP for providers: Everlytic's events, and replies from a mailbox provider."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response

from api.delivery.webhooks import service
from api.delivery.webhooks.service import Delivery, Receivers, require_basic
from api.http.dependencies import ServicesDep
from api.http.errors import Malformed, NotFound, TooLarge, responses
from api.http.pagination import Wire
from api.http.resources import Services
from api.http.routing import Route, room_router
from api.inbox.inbound import service as inbound
from api.inbox.inbound.posted import kind_of, read_posted
from api.inbox.inbound.schemas import REQUEST_BODY
from api.inbox.inbound.service import Receipt
from database.tenancy import Scope, transaction

router = room_router("/api/webhooks", "webhooks")

MEGABYTE = 1024 * 1024
MOST_EVENT_BYTES = 5 * MEGABYTE
MOST_MESSAGE_BYTES = 25 * MEGABYTE
"""What mailbox providers take themselves, attachments included."""


class Direct(Route):
    """A route of a token and credentials whose endpoint answers by itself: nothing is resolved or serialised."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the endpoint as it is called with a request alone."""
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            answer: Response = await endpoint(
                request, request.path_params["token"], request.headers.get("Authorization")
            )
            return answer

        return handle


class Taken(Wire):
    """The push is stored; `duplicate` says that it had been before."""

    stored: bool = True
    duplicate: bool = False


async def get_receivers(request: Request, services: ServicesDep) -> Receivers:
    """Return the process's one look-up of webhook tokens."""
    state = request.app.state
    if not hasattr(state, "receivers"):
        state.receivers = Receivers(services.pool, services.secrets)
    found: Receivers = state.receivers
    return found


ReceiversDep = Annotated[Receivers, Depends(get_receivers)]


async def receive_events(
    request: Request, token: str, authorization: Annotated[str | None, Header()] = None
) -> Response:
    """Events that Everlytic pushes, JSON or form-encoded, in either field set; answered once they are stored."""
    services: Services = request.app.state.services
    receiver = await (await get_receivers(request, services)).find(token)
    require_basic(receiver, authorization)
    content_type = request.headers.get("Content-Type", "application/json")
    delivery = Delivery(content_type, await _body(request, MOST_EVENT_BYTES), services.clock.now())
    await services.batches.run(service.store, receiver.workspace_id, delivery)
    return Response(_TAKEN, media_type="application/json")


_TAKEN = Taken().model_dump_json(by_alias=True)
router.add_api_route(
    "/everlytic/{token}",
    receive_events,
    methods=["POST"],
    operation_id="receiveEverlyticEvents",
    response_model=Taken,
    responses=responses(NotFound, TooLarge),
    route_class_override=Direct,
)


class ReplyTaken(Taken):
    """The message is stored, or had been before, or is left alone because it is the workspace's `own`."""

    own: bool = False


@router.post(
    "/inbound/{token}",
    operation_id="receiveReply",
    responses=responses(NotFound, TooLarge, Malformed),
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def receive_reply(request: Request, token: str, services: ServicesDep, receivers: ReceiversDep) -> ReplyTaken:
    """A reply as a mailbox service forwards it, raw or as JSON; the token in the address is the credential."""
    receiver = await receivers.find(token)
    kind = kind_of(request.headers.get("Content-Type", ""))
    body = await _body(request, MOST_MESSAGE_BYTES)
    # In a thread: a large message of many parts takes seconds.
    message = await asyncio.to_thread(read_posted, body, kind)
    now, public_url = services.clock.now(), services.settings.public_url
    async with transaction(services.pool, Scope(workspace_id=receiver.workspace_id)) as session:
        receipt = await inbound.receive(
            session, receiver.workspace_id, message, public_url=public_url, received_at=now, now=now
        )
    return ReplyTaken(
        stored=receipt is not Receipt.OWN, duplicate=receipt is Receipt.DUPLICATE, own=receipt is Receipt.OWN
    )


async def _body(request: Request, most: int) -> bytes:
    """Return a request's body; raises TooLarge as soon as it is longer than `most` bytes."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise TooLarge(f"The request is larger than the {most // MEGABYTE} MB that are read here.")
    return bytes(body)
