"""The transactional v1 service: the send and the webhook registrations."""

import re
import uuid

from fastapi import APIRouter, Request, Response

from everlytic.sandbox.gate import V1, Refusal, answer, authenticate, enter, json_object, v1_error, world_of
from everlytic.sandbox.paging import MAX_DIGITS
from everlytic.sandbox.scenarios import HOOKS
from everlytic.sandbox.sending import send
from everlytic.sandbox.state import CapturedMail, Hook, Tenant
from everlytic.sandbox.validation import Problems, read_mail, read_webhook
from everlytic.sandbox.world import Submission

PREFIX = "/transactional/email/v1"

router = APIRouter(prefix=PREFIX)


def _refuse(tenant: Tenant, problems: Problems) -> None:
    if problems:
        raise Refusal(v1_error(tenant.behaviour.number("invalid_status"), "Invalid request", problems))


async def send_mail(request: Request) -> Response:
    """POST mail. A plain route: it has to keep up with hundreds of sends a second."""
    tenant = authenticate(request, V1)
    fields, problems = read_mail(await json_object(request, V1))
    behaviour = tenant.behaviour
    _refuse(tenant, problems)
    template_id = fields["template_id"]
    if template_id is not None and re.fullmatch(r"[0-9a-fA-F-]{36}", template_id) is None:
        status = behaviour.number("unknown_template_status")
        problem = ("options.template_id", "invalid", "There is no such template")
        raise Refusal(v1_error(status, "Unknown template", [problem]))
    _refuse(tenant, _known_before(tenant, fields["message_id"]) + _opted_out(tenant, fields["to"]))
    tracked = behaviour.on("tracking_default")
    copies = fields["cc"] + fields["bcc"] if behaviour.on("copies_make_transactions") else []
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
        track_opens=tracked if fields["track_opens"] is None else fields["track_opens"],
        track_links=tracked if fields["track_links"] is None else fields["track_links"],
    )

    def accepted(mails: list[CapturedMail]) -> Response:
        told = mails if behaviour.value("transactions_per") == "recipient" else mails[:1]
        return answer({"transactions": [{"id": mail.transaction_id} for mail in told]})

    return await send(world_of(request), tenant, V1, submission, accepted)


def _known_before(tenant: Tenant, message_id: str | None) -> Problems:
    if tenant.behaviour.value("duplicate_message_id") == "reject" and message_id in tenant.message_ids:
        return [("headers.message_id", "invalid", "This message_id was used before")]
    return []


def _opted_out(tenant: Tenant, to: list[tuple[str, str]]) -> Problems:
    if tenant.behaviour.value("opted_out") == "reject_400" and any(one.lower() in tenant.opted_out for one, _ in to):
        return [("headers.to", "invalid", "The recipient opted out of transactional mail")]
    return []


@router.post("/webhooks")
async def create_webhook(request: Request) -> Response:
    """Register a webhook."""
    tenant = await enter(request, V1, HOOKS)
    registration, problems = read_webhook(await json_object(request, V1))
    _refuse(tenant, problems)
    hook = Hook(str(uuid.uuid4()), registration)
    tenant.hooks[hook.id] = hook
    return answer(hook.shown(), tenant.behaviour.number("webhook_create_status"))


@router.get("/webhooks")
async def list_webhooks(request: Request) -> Response:
    """One page of webhooks."""
    tenant = await enter(request, V1, HOOKS)
    parameter = str(tenant.behaviour.value("webhook_page_parameter"))
    text = request.query_params.get(parameter, "1")
    page = max(int(text[:MAX_DIGITS]) if text.isdecimal() else 1, 1)
    size, hooks = tenant.behaviour.number("webhooks_per_page"), list(tenant.hooks.values())
    last = max(-(-len(hooks) // size), 1)
    shown = hooks[(page - 1) * size : page * size]

    def link(number: int) -> str | None:
        return str(request.url.include_query_params(**{parameter: number})) if 1 <= number <= last else None

    return answer(
        {
            "type": "webhook",
            "meta": {
                "total": len(hooks),
                "per_page": size,
                "current_page": page,
                "last_page": last,
                "from": (page - 1) * size + 1 if shown else None,
                "to": (page - 1) * size + len(shown) if shown else None,
            },
            "links": {"first": link(1), "last": link(last), "prev": link(page - 1), "next": link(page + 1)},
            "data": [hook.shown() for hook in shown],
        }
    )


@router.get("/webhooks/failed/reprocess")
async def reprocess(request: Request) -> Response:
    """Put back what was parked within seven days."""
    tenant = await enter(request, V1, HOOKS)
    world_of(request).postman.reprocess(tenant.username)
    return answer({"status": True})


@router.put("/webhooks/{webhook_id}")
async def update_webhook(request: Request, webhook_id: str) -> Response:
    """Replace a registration; deliveries under way go to the new one."""
    tenant = await enter(request, V1, HOOKS)
    registration, problems = read_webhook(await json_object(request, V1))
    hook = tenant.hooks.get(webhook_id)
    if hook is None:
        raise Refusal(v1_error(tenant.behaviour.number("webhook_update_unknown_status"), "There is no such webhook"))
    _refuse(tenant, problems)
    hook.registration = registration
    return answer(hook.shown())


@router.delete("/webhooks/{webhook_id}")
async def delete_webhook(request: Request, webhook_id: str) -> Response:
    """Delete; 200 either way."""
    tenant = await enter(request, V1, HOOKS)
    return answer({"status": tenant.hooks.pop(webhook_id, None) is not None})
