"""The tenant API 2.0: legacy sends, transactions and callback events."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from everlytic.sandbox.access import (
    TENANT,
    RequestRejected,
    authenticate,
    get_simulation,
    json_response,
    parse_json_object,
    receive_request,
    tenant_error_response,
)
from everlytic.sandbox.paging import build_collection, build_item, parse_filters
from everlytic.sandbox.payloads import build_legacy_record
from everlytic.sandbox.scenarios import READ
from everlytic.sandbox.send_pipeline import process_send
from everlytic.sandbox.simulation import Submission
from everlytic.sandbox.state import CapturedMail, Event, Tenant
from everlytic.sandbox.validation import is_text

PREFIX = "/api/2.0"

LISTED_TYPES = frozenset(
    {"sent", "delivered", "failed", "open", "click", "bounce", "unsubscribe", "resubscribe", "complaint"}
)

router = APIRouter(prefix=PREFIX)


def _parse_mailboxes(value: object) -> list[tuple[str, str]]:
    """Parse an address as text, or a map of addresses to names."""
    if isinstance(value, str) and "@" in value:
        return [(value, "")]
    if isinstance(value, dict) and all(isinstance(name, str) and "@" in address for address, name in value.items()):
        return list(value.items())
    return []


def _parse_headers(value: object) -> dict[str, list[str]]:
    if not isinstance(value, dict):
        return {}
    return {
        str(name): [str(text) for text in texts] if isinstance(texts, list) else [str(texts)]
        for name, texts in value.items()
    }


def _parse_flag(options: dict[str, Any], name: str) -> bool:
    value = options.get(name, "yes")
    if value not in ("yes", "no"):
        raise RequestRejected(tenant_error_response(400, f"{name} must be yes or no"))
    return bool(value == "yes")


@router.post("/trans_mails")
async def send_legacy(request: Request) -> Response:
    """Send a mail in either legacy format."""
    tenant = authenticate(request, TENANT)
    value = await parse_json_object(request, TENANT)
    headers, body, options = (
        part if isinstance(part := value.get(name), dict) else {} for name in ("headers", "body", "options")
    )
    to, sender = _parse_mailboxes(headers.get("to")), _parse_mailboxes(headers.get("from"))
    if not to or not sender or not is_text(headers.get("subject")):
        raise RequestRejected(tenant_error_response(400, "headers.to, headers.from and headers.subject are required"))
    if not (is_text(body.get("html")) or is_text(body.get("text"))):
        raise RequestRejected(tenant_error_response(400, "The body needs html or text"))
    if tenant.behaviour.is_on("legacy_bcc_limit") and len(_parse_mailboxes(headers.get("bcc"))) > 1:
        raise RequestRejected(tenant_error_response(400, "Only one bcc address is allowed"))
    reply_to = _parse_mailboxes(headers.get("reply_to"))
    submission = Submission(
        to=to,
        sender=sender[0][0],
        subject=headers["subject"],
        method="legacy",
        reply_to=reply_to[0][0] if reply_to else "",
        html=body.get("html") or "",
        text=body.get("text") or "",
        custom_headers=_parse_headers(headers.get("custom_headers")),
        group=str(headers.get("trans-group-name") or ""),
        track_opens=_parse_flag(options, "track_opens"),
        track_links=_parse_flag(options, "track_links"),
    )

    def build_response(mails: list[CapturedMail]) -> Response:
        if tenant.behaviour.get("legacy_send_body") == "empty":
            return json_response({}, 201)
        return build_item(request, "ListTransactionalMails", {"id": mails[0].legacy_id}, 201)

    return await process_send(get_simulation(request), tenant, TENANT, submission, build_response)


def _to_json(mail: CapturedMail) -> dict[str, Any]:
    bounce = {**mail.bounce, "subject": mail.subject} if mail.bounce else {}
    return {
        "id": mail.legacy_id,
        **bounce,
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


def _is_visible(tenant: Tenant, mail: CapturedMail) -> bool:
    return mail.method != "rest" or tenant.behaviour.is_on("v1_visible_in_legacy")


def _select_candidates(tenant: Tenant, filters: dict[str, list[str]]) -> list[CapturedMail]:
    """Return the mails selected by the most specific index; the other filters still have to be applied."""
    for name, values in filters.items():
        if name.startswith("custom_headers[") and name.endswith("]"):
            return tenant.by_header.get((name[15:-1].lower(), values[0]), [])
    if "trans_group_name" in filters:
        return tenant.by_group.get(filters["trans_group_name"][0], [])
    return tenant.mails


@router.get("/trans_mails")
@router.get("/trans_mails/")
async def list_mails(request: Request) -> Response:
    """List sent mails, oldest first unless ``direction=desc``."""
    tenant = await receive_request(request, TENANT, READ)
    filters = parse_filters(request, tenant)
    mails = _select_candidates(tenant, filters)
    columns: dict[str, Callable[[CapturedMail], str]] = {
        "trans_group_name": lambda mail: mail.group,
        "trans_group_id": lambda mail: str(mail.group_id),
        "send_status": lambda mail: mail.status,
        "send_email_from": lambda mail: mail.sender,
        "send_email_to": lambda mail: mail.recipient,
    }
    for name, column in columns.items():
        if name in filters:
            mails = [mail for mail in mails if column(mail) in filters[name]]
    if not tenant.behaviour.is_on("v1_visible_in_legacy"):
        mails = [mail for mail in mails if mail.method != "rest"]
    return build_collection(request, tenant, "ListTransactionalMails", mails, _to_json)


@router.get("/trans_mails/{transaction_id}")
async def get_mail(request: Request, transaction_id: str) -> Response:
    """Return one sent mail."""
    tenant = await receive_request(request, TENANT, READ)
    mail = tenant.by_id.get(transaction_id)
    if mail is None or mail.legacy_id != transaction_id or not _is_visible(tenant, mail):
        raise RequestRejected(tenant_error_response(404, "This transaction does not exist"))
    return build_item(request, "ListTransactionalMails", _to_json(mail))


@router.get("/trans_callback_events")
@router.get("/trans_callback_events/")
async def list_callback_events(request: Request) -> Response:
    """List events in the legacy field set, oldest first unless ``direction=desc``."""
    tenant = await receive_request(request, TENANT, READ)
    filters = parse_filters(request, tenant)
    behaviour = tenant.behaviour

    def build_record(event: Event) -> dict[str, Any]:
        return build_legacy_record(event, behaviour, polled=True)

    def to_json(event: Event) -> dict[str, Any]:
        is_wrapped = behaviour.get("callback_event_shape") == "wrapped"
        return {"event": build_record(event)} if is_wrapped else build_record(event)

    types = set(filters.get("event_type", LISTED_TYPES))
    links = set(filters.get("url", ()))
    events = [
        event
        for event in tenant.events
        if event.type in LISTED_TYPES
        and (event.type in types or build_record(event)["event_type"] in types)
        and (not links or event.data.get("link_url") in links)
        and _is_visible(tenant, event.mail)
    ]
    return build_collection(request, tenant, "ListTransactionalCallbackEvents", events, to_json)
