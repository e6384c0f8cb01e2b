"""HTTP for providers: Everlytic's events, and replies from a mailbox provider."""

import asyncio
from typing import Annotated

from fastapi import Depends, Header, Request

from api.dependencies import ServicesDep
from api.errors import NotFound, TooLarge, responses
from api.pagination import Wire
from api.replies import service as replies
from api.replies.message import read_message
from api.routing import room_router
from api.webhooks import service
from api.webhooks.service import Delivery, Receivers, require_basic
from database.tenancy import Scope, transaction

router = room_router("/api/webhooks", "webhooks")

MEGABYTE = 1024 * 1024
MOST_EVENT_BYTES = 5 * MEGABYTE
MOST_MESSAGE_BYTES = 25 * MEGABYTE
"""What mailbox providers take themselves, attachments included."""


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


@router.post("/everlytic/{token}", operation_id="receiveEverlyticEvents", responses=responses(NotFound, TooLarge))
async def receive_events(
    request: Request,
    token: str,
    services: ServicesDep,
    receivers: ReceiversDep,
    authorization: Annotated[str | None, Header()] = None,
) -> Taken:
    """Events that Everlytic pushes, JSON or form-encoded, in either field set; answered once they are stored."""
    receiver = await receivers.find(token)
    require_basic(receiver, authorization)
    content_type = request.headers.get("Content-Type", "application/json")
    delivery = Delivery(content_type, await _body(request, MOST_EVENT_BYTES), services.clock.now())
    await services.batches.run(service.store, receiver.workspace_id, delivery)
    return Taken()


@router.post("/inbound/{token}", operation_id="receiveReply", responses=responses(NotFound, TooLarge))
async def receive_reply(request: Request, token: str, services: ServicesDep, receivers: ReceiversDep) -> Taken:
    """A reply as a mailbox provider forwards it: the raw message; the token in the address is the credential."""
    receiver = await receivers.find(token)
    # In a thread: a large message of many parts takes seconds.
    message = await asyncio.to_thread(read_message, await _body(request, MOST_MESSAGE_BYTES))
    async with transaction(services.pool, Scope(workspace_id=receiver.workspace_id)) as session:
        is_new = await replies.receive(session, receiver.workspace_id, message, services.clock.now())
    return Taken(duplicate=not is_new)


async def _body(request: Request, most: int) -> bytes:
    """Return a request's body; raises TooLarge as soon as it is longer than `most` bytes."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise TooLarge(f"The request is larger than the {most // MEGABYTE} MB that are read here.")
    return bytes(body)
