"""The endpoint that mailbox services forward replies to."""

from fastapi import Request

from api.accounts.workspaces.receivers import ReceiversDep
from api.http.dependencies import ServicesDep
from api.http.errors import Malformed, NotFound, TooLarge, responses
from api.http.routing import Route, create_router, read_body
from api.inbox.inbound import service
from api.inbox.inbound.posted import detect_kind, read_posted
from api.inbox.inbound.schemas import REQUEST_BODY, ReplyReceipt
from api.inbox.inbound.service import Receipt
from database.tenancy import Scope, transaction

router = create_router("/api/webhooks", "webhooks", route_class=Route)

MAX_MESSAGE_MEGABYTES = 25
"""The limit of mailbox services themselves, including attachments."""


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
    body = await read_body(request, MAX_MESSAGE_MEGABYTES)
    message = await services.messages.of(receiver.workspace_id)(read_posted, body, kind)
    now, public_url = services.clock.now(), services.settings.public_url
    async with transaction(services.pool, Scope(workspace_id=receiver.workspace_id)) as session:
        receipt = await service.receive_message(
            session, receiver.workspace_id, message, public_url=public_url, received_at=now, now=now
        )
    return ReplyReceipt(
        stored=receipt is not Receipt.OWN, duplicate=receipt is Receipt.DUPLICATE, own=receipt is Receipt.OWN
    )
