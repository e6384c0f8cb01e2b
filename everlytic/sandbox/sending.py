"""The common course of a send on either host: faults before, acceptance, faults after, answer."""

from collections.abc import Callable

from fastapi import Response

from everlytic.sandbox.gate import Refusal, Reset, error, strike, tenant_error
from everlytic.sandbox.scenarios import SEND
from everlytic.sandbox.state import CapturedMail, Event, Tenant
from everlytic.sandbox.world import Submission, World

Answer = Callable[[list[CapturedMail]], Response]


async def send(world: World, tenant: Tenant, host: str, submission: Submission, answer: Answer) -> Response:
    """Accept ``submission`` (already valid) as the faults in force allow, and give the response."""
    world.requests[SEND] += 1
    first = submission.to[0][0].lower()
    tenant.tries[first] += 1
    key = f"{first}:{tenant.tries[first]}"
    fault = tenant.behaviour.draw(SEND, key)
    if fault is not None:
        tenant.faults[fault] += 1
        await strike(fault, world, tenant, host, key)
    _check_quota(tenant, host)
    # Silence after acceptance goes with whatever was answered, so it is drawn by itself.
    silent = tenant.behaviour.draws("accepted_no_events", key)
    if silent and fault != "accepted_no_events":
        tenant.faults["accepted_no_events"] += 1
    mails = world.accept(tenant, submission, silent=silent)
    response = answer(mails)
    if fault is None:
        return response
    return await _after_acceptance(world, tenant, host, fault, mails, response)


def _check_quota(tenant: Tenant, host: str) -> None:
    quota = tenant.behaviour.number("quota")
    if quota and len(tenant.mails) >= quota:
        raise Refusal(error(host, tenant.behaviour.number("quota_status"), "The monthly quota is used up"))


async def _after_acceptance(
    world: World, tenant: Tenant, host: str, fault: str, mails: list[CapturedMail], response: Response
) -> Response:
    if fault == "server_error_after_accept":
        return error(host, 500, "Internal Server Error")
    if fault == "bad_request_but_delivered":
        return tenant_error(400, "The message could not be queued", "10601")
    if fault == "timeout_after_accept":
        await world.pause(tenant.behaviour.number("hold_seconds"))
        return Reset()
    if fault == "reset_after_accept":
        return Reset()
    if fault == "truncated_json":
        body = bytes(response.body)
        return Response(body[: len(body) * 2 // 3], response.status_code, media_type="application/json")
    if fault == "sent_event_before_response":
        await _sent_first(world, tenant, mails)
    return response


async def _sent_first(world: World, tenant: Tenant, mails: list[CapturedMail]) -> None:
    for mail in mails:
        event = Event("sent", float(int(world.clock.now())), mail)
        tenant.record(event)
        mail.status = "sent"
        for hook in tenant.hooks.values():
            if "sent" in hook.registration["event_types"]:
                await world.postman.deliver_now(world.announcer.webhook_parcel(tenant, hook, [event]))
