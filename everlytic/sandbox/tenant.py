"""The tenant API 2.0: legacy sends, the read-back of transactions, and callback events."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from everlytic.sandbox.gate import TENANT, Refusal, answer, authenticate, enter, json_object, tenant_error, world_of
from everlytic.sandbox.paging import collection, filters, item
from everlytic.sandbox.payloads import legacy_record
from everlytic.sandbox.scenarios import READ
from everlytic.sandbox.sending import send
from everlytic.sandbox.state import CapturedMail, Event, Tenant
from everlytic.sandbox.validation import is_text
from everlytic.sandbox.world import Submission

PREFIX = "/api/2.0"

LISTED = frozenset(
    {"sent", "delivered", "failed", "open", "click", "bounce", "unsubscribe", "resubscribe", "complaint"}
)

router = APIRouter(prefix=PREFIX)


def _mailboxes(value: object) -> list[tuple[str, str]]:
    """Both dialects: an address as text, or a map of addresses to names."""
    if isinstance(value, str) and "@" in value:
        return [(value, "")]
    if isinstance(value, dict) and all(isinstance(name, str) and "@" in one for one, name in value.items()):
        return list(value.items())
    return []


def _header_map(value: object) -> dict[str, list[str]]:
    if not isinstance(value, dict):
        return {}
    return {
        str(name): [str(one) for one in texts] if isinstance(texts, list) else [str(texts)]
        for name, texts in value.items()
    }


def _flag(options: dict[str, Any], name: str) -> bool:
    value = options.get(name, "yes")
    if value not in ("yes", "no"):
        raise Refusal(tenant_error(400, f"{name} must be yes or no"))
    return bool(value == "yes")


@router.post("/trans_mails")
async def send_legacy(request: Request) -> Response:
    """Send in either legacy dialect."""
    tenant = authenticate(request, TENANT)
    value = await json_object(request, TENANT)
    headers, body, options = (
        part if isinstance(part := value.get(name), dict) else {} for name in ("headers", "body", "options")
    )
    to, sender = _mailboxes(headers.get("to")), _mailboxes(headers.get("from"))
    if not to or not sender or not is_text(headers.get("subject")):
        raise Refusal(tenant_error(400, "headers.to, headers.from and headers.subject are required"))
    if not (is_text(body.get("html")) or is_text(body.get("text"))):
        raise Refusal(tenant_error(400, "The body needs html or text"))
    if tenant.behaviour.on("legacy_bcc_limit") and len(_mailboxes(headers.get("bcc"))) > 1:
        raise Refusal(tenant_error(400, "Only one bcc address is allowed"))
    reply_to = _mailboxes(headers.get("reply_to"))
    submission = Submission(
        to=to,
        sender=sender[0][0],
        subject=headers["subject"],
        method="legacy",
        reply_to=reply_to[0][0] if reply_to else "",
        html=body.get("html") or "",
        text=body.get("text") or "",
        custom_headers=_header_map(headers.get("custom_headers")),
        group=str(headers.get("trans-group-name") or ""),
        track_opens=_flag(options, "track_opens"),
        track_links=_flag(options, "track_links"),
    )

    def accepted(mails: list[CapturedMail]) -> Response:
        if tenant.behaviour.value("legacy_send_body") == "empty":
            return answer({}, 201)
        return item(request, "ListTransactionalMails", {"id": mails[0].legacy_id}, 201)

    return await send(world_of(request), tenant, TENANT, submission, accepted)


def _shown(mail: CapturedMail) -> dict[str, Any]:
    bounced = {**mail.bounce, "subject": mail.subject} if mail.bounce else {}
    return {
        "id": mail.legacy_id,
        **bounced,
        "send_email_from": mail.sender,
        "send_email_to": mail.recipient,
        "custom_headers": mail.custom_headers or [],
        "group_id": mail.group_id,
        "group_name": mail.group,
        "send_status": mail.status,
        "send_date": int(mail.accepted_at),
        "opens": mail.opens,
        "link_clicks": mail.clicks,
        "send_mta_status": "none" if mail.status == "queued" else mail.status,
    }


def _visible(tenant: Tenant, mail: CapturedMail) -> bool:
    return mail.method != "rest" or tenant.behaviour.on("v1_visible_in_legacy")


def _candidates(tenant: Tenant, wanted: dict[str, list[str]]) -> list[CapturedMail]:
    """The mails that the narrowest index leaves for the remaining filters."""
    for name, values in wanted.items():
        if name.startswith("custom_headers[") and name.endswith("]"):
            return tenant.by_header.get((name[15:-1].lower(), values[0]), [])
    if "trans_group_name" in wanted:
        return tenant.by_group.get(wanted["trans_group_name"][0], [])
    return tenant.mails


@router.get("/trans_mails")
@router.get("/trans_mails/")
async def list_mails(request: Request) -> Response:
    """Sent mails, oldest first unless ``direction=desc``."""
    tenant = await enter(request, TENANT, READ)
    wanted = filters(request, tenant)
    mails = _candidates(tenant, wanted)
    columns: dict[str, Callable[[CapturedMail], str]] = {
        "trans_group_name": lambda mail: mail.group,
        "trans_group_id": lambda mail: str(mail.group_id),
        "send_status": lambda mail: mail.status,
        "send_email_from": lambda mail: mail.sender,
        "send_email_to": lambda mail: mail.recipient,
    }
    for name, column in columns.items():
        if name in wanted:
            mails = [mail for mail in mails if column(mail) in wanted[name]]
    if not tenant.behaviour.on("v1_visible_in_legacy"):
        mails = [mail for mail in mails if mail.method != "rest"]
    return collection(request, tenant, "ListTransactionalMails", mails, _shown)


@router.get("/trans_mails/{transaction_id}")
async def get_mail(request: Request, transaction_id: str) -> Response:
    """One sent mail."""
    tenant = await enter(request, TENANT, READ)
    mail = tenant.by_id.get(transaction_id)
    if mail is None or mail.legacy_id != transaction_id or not _visible(tenant, mail):
        raise Refusal(tenant_error(404, "There is no such transaction"))
    return item(request, "ListTransactionalMails", _shown(mail))


@router.get("/trans_callback_events")
@router.get("/trans_callback_events/")
async def list_callback_events(request: Request) -> Response:
    """Events in the legacy field set, oldest first unless ``direction=desc``."""
    tenant = await enter(request, TENANT, READ)
    wanted = filters(request, tenant)
    behaviour = tenant.behaviour

    def record(event: Event) -> dict[str, Any]:
        return legacy_record(event, behaviour, polled=True)

    def show(event: Event) -> dict[str, Any]:
        return {"event": record(event)} if behaviour.value("callback_event_shape") == "wrapped" else record(event)

    types = set(wanted.get("event_type", LISTED))
    links = set(wanted.get("url", ()))
    events = [
        event
        for event in tenant.events
        if event.type in LISTED
        and (event.type in types or record(event)["event_type"] in types)
        and (not links or event.data.get("link_url") in links)
        and _visible(tenant, event.mail)
    ]
    return collection(request, tenant, "ListTransactionalCallbackEvents", events, show)
