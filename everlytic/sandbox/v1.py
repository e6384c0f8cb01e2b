"""The transactional v1 service: sending mail and registering webhooks."""

import re
import uuid

from fastapi import APIRouter, Request, Response

from everlytic.sandbox.access import (
    V1,
    RequestRejected,
    authenticate,
    get_simulation,
    json_response,
    parse_json_object,
    receive_request,
    v1_error_response,
)
from everlytic.sandbox.paging import MAX_DIGITS
from everlytic.sandbox.scenarios import HOOKS
from everlytic.sandbox.send_pipeline import process_send
from everlytic.sandbox.simulation import Submission
from everlytic.sandbox.state import CapturedMail, RegisteredWebhook, Tenant
from everlytic.sandbox.validation import Problems, validate_mail, validate_webhook

PREFIX = "/transactional/email/v1"

router = APIRouter(prefix=PREFIX)


def _reject_problems(tenant: Tenant, problems: Problems) -> None:
    if problems:
        raise RequestRejected(
            v1_error_response(tenant.behaviour.get_int("invalid_status"), "Invalid request", problems)
        )


async def send_mail(request: Request) -> Response:
    """Send a mail. It is a plain Starlette route, which is fast enough for hundreds of sends a second."""
    tenant = authenticate(request, V1)
    fields, problems = validate_mail(await parse_json_object(request, V1))
    behaviour = tenant.behaviour
    _reject_problems(tenant, problems)
    template_id = fields["template_id"]
    if template_id is not None and re.fullmatch(r"[0-9a-fA-F-]{36}", template_id) is None:
        status = behaviour.get_int("unknown_template_status")
        problem = ("options.template_id", "invalid", "This template does not exist")
        raise RequestRejected(v1_error_response(status, "Unknown template", [problem]))
    _reject_problems(tenant, _check_duplicate(tenant, fields["message_id"]) + _check_opted_out(tenant, fields["to"]))
    is_tracked = behaviour.is_on("tracking_default")
    copies = fields["cc"] + fields["bcc"] if behaviour.is_on("copies_make_transactions") else []
    submission = Submission(
        to=fields["to"] + copies,
        sender=fields["from"] or "template@sandbox.everlytic",
        subject=fields["subject"] or f"Template {template_id}",
        method="rest",
        reply_to=fields["reply_to"],
        message_id=fields["message_id"] or "",
        html=fields["html"] or ("<p>template</p>" if template_id else ""),
        text=fields["text"] or "",
        group=fields["group_name"] or "",
        custom_headers=fields["custom_headers"] or {},
        track_opens=is_tracked if fields["track_opens"] is None else fields["track_opens"],
        track_links=is_tracked if fields["track_links"] is None else fields["track_links"],
    )

    def build_response(mails: list[CapturedMail]) -> Response:
        listed = mails if behaviour.get("transactions_per") == "recipient" else mails[:1]
        return json_response({"transactions": [{"id": mail.transaction_id} for mail in listed]})

    return await process_send(get_simulation(request), tenant, V1, submission, build_response)


def _check_duplicate(tenant: Tenant, message_id: str | None) -> Problems:
    if tenant.behaviour.get("duplicate_message_id") == "reject" and message_id in tenant.message_ids:
        return [("headers.message_id", "invalid", "This message_id was used before")]
    return []


def _check_opted_out(tenant: Tenant, to: list[tuple[str, str]]) -> Problems:
    if tenant.behaviour.get("opted_out") == "reject_400" and any(
        address.lower() in tenant.opted_out for address, _ in to
    ):
        return [("headers.to", "invalid", "The recipient opted out of transactional mail")]
    return []


@router.post("/webhooks")
async def create_webhook(request: Request) -> Response:
    """Register a webhook."""
    tenant = await receive_request(request, V1, HOOKS)
    registration, problems = validate_webhook(await parse_json_object(request, V1))
    _reject_problems(tenant, problems)
    webhook = RegisteredWebhook(str(uuid.uuid4()), registration)
    tenant.webhooks[webhook.id] = webhook
    return json_response(webhook.to_json(), tenant.behaviour.get_int("webhook_create_status"))


@router.get("/webhooks")
async def list_webhooks(request: Request) -> Response:
    """List one page of webhooks."""
    tenant = await receive_request(request, V1, HOOKS)
    parameter = str(tenant.behaviour.get("webhook_page_parameter"))
    text = request.query_params.get(parameter, "1")
    page = max(int(text[:MAX_DIGITS]) if text.isdecimal() else 1, 1)
    size, webhooks = tenant.behaviour.get_int("webhooks_per_page"), list(tenant.webhooks.values())
    last = max(-(-len(webhooks) // size), 1)
    page_webhooks = webhooks[(page - 1) * size : page * size]

    def build_link(number: int) -> str | None:
        return str(request.url.include_query_params(**{parameter: number})) if 1 <= number <= last else None

    return json_response(
        {
            "type": "webhook",
            "meta": {
                "total": len(webhooks),
                "per_page": size,
                "current_page": page,
                "last_page": last,
                "from": (page - 1) * size + 1 if page_webhooks else None,
                "to": (page - 1) * size + len(page_webhooks) if page_webhooks else None,
            },
            "links": {
                "first": build_link(1),
                "last": build_link(last),
                "prev": build_link(page - 1),
                "next": build_link(page + 1),
            },
            "data": [webhook.to_json() for webhook in page_webhooks],
        }
    )


@router.get("/webhooks/failed/reprocess")
async def reprocess_failed(request: Request) -> Response:
    """Queue the deliveries that failed within the last seven days again."""
    tenant = await receive_request(request, V1, HOOKS)
    get_simulation(request).dispatcher.reprocess(tenant.username)
    return json_response({"status": True})


@router.put("/webhooks/{webhook_id}")
async def update_webhook(request: Request, webhook_id: str) -> Response:
    """Replace a registration; pending deliveries use the new one."""
    tenant = await receive_request(request, V1, HOOKS)
    registration, problems = validate_webhook(await parse_json_object(request, V1))
    webhook = tenant.webhooks.get(webhook_id)
    if webhook is None:
        status = tenant.behaviour.get_int("webhook_update_unknown_status")
        raise RequestRejected(v1_error_response(status, "This webhook does not exist"))
    _reject_problems(tenant, problems)
    webhook.registration = registration
    return json_response(webhook.to_json())


@router.delete("/webhooks/{webhook_id}")
async def delete_webhook(request: Request, webhook_id: str) -> Response:
    """Delete a webhook; the status is 200 even when it does not exist."""
    tenant = await receive_request(request, V1, HOOKS)
    return json_response({"status": tenant.webhooks.pop(webhook_id, None) is not None})
