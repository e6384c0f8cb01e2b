"""Processes a valid send of either API: faults before acceptance, acceptance, faults after it, response."""

from collections.abc import Callable

from fastapi import Response

from everlytic.sandbox.access import (
    ConnectionReset,
    RequestRejected,
    apply_fault,
    error_response,
    tenant_error_response,
)
from everlytic.sandbox.response_faults import truncate_body
from everlytic.sandbox.scenarios import SEND
from everlytic.sandbox.simulation import Simulation, Submission
from everlytic.sandbox.state import CapturedMail, Event, Tenant

BuildResponse = Callable[[list[CapturedMail]], Response]


async def process_send(
    simulation: Simulation, tenant: Tenant, host: str, submission: Submission, build_response: BuildResponse
) -> Response:
    """Accept a valid ``submission``, subject to the active faults, and return the response."""
    simulation.requests[SEND] += 1
    recipient = submission.to[0][0].lower()
    tenant.request_counts[recipient] += 1
    key = f"{recipient}:{tenant.request_counts[recipient]}"
    fault = tenant.behaviour.pick_fault(SEND, key)
    if fault is not None:
        tenant.faults[fault] += 1
        await apply_fault(fault, simulation, tenant, host, key)
    _check_quota(tenant, host)
    # This fault can occur together with any other, because it does not change the response.
    suppress_events = tenant.behaviour.has_fault("accepted_no_events", key)
    if suppress_events and fault != "accepted_no_events":
        tenant.faults["accepted_no_events"] += 1
    mails = simulation.accept_submission(tenant, submission, suppress_events=suppress_events)
    response = build_response(mails)
    if fault is None:
        return response
    return await _apply_fault_after_acceptance(simulation, tenant, host, fault, mails, response)


def _check_quota(tenant: Tenant, host: str) -> None:
    quota = tenant.behaviour.get_int("quota")
    if quota and len(tenant.mails) >= quota:
        status = tenant.behaviour.get_int("quota_status")
        raise RequestRejected(error_response(host, status, "The monthly quota is used up"))


async def _apply_fault_after_acceptance(
    simulation: Simulation, tenant: Tenant, host: str, fault: str, mails: list[CapturedMail], response: Response
) -> Response:
    if fault == "server_error_after_accept":
        return error_response(host, 500, "Internal Server Error")
    if fault == "bad_request_but_delivered":
        return tenant_error_response(400, "The message could not be queued", "10601")
    if fault == "timeout_after_accept":
        await simulation.pause(tenant.behaviour.get_int("hold_seconds"))
        return ConnectionReset()
    if fault == "reset_after_accept":
        return ConnectionReset()
    if fault == "truncated_json":
        return Response(truncate_body(response.body), response.status_code, media_type="application/json")
    if fault == "sent_event_before_response":
        await _deliver_sent_event(simulation, tenant, mails)
    return response


async def _deliver_sent_event(simulation: Simulation, tenant: Tenant, mails: list[CapturedMail]) -> None:
    for mail in mails:
        event = Event("sent", float(int(simulation.clock.now())), mail)
        tenant.add_event(event)
        mail.status = "sent"
        for webhook in tenant.webhooks.values():
            if "sent" in webhook.registration["event_types"]:
                delivery = simulation.notifier.build_webhook_delivery(tenant, webhook, [event])
                await simulation.dispatcher.deliver_now(delivery)
