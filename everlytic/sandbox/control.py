"""The control plane under ``/__sandbox__/``, a path that Everlytic does not have: configure and inspect the sandbox.

======================================  ===============================================================================
``GET state``                           counts, injected faults, virtual time (``now`` ISO, ``now_epoch`` seconds);
                                        ``due_now`` is 0 when all due events and delivery attempts are done
``GET ledger?username=``                every mail with its events, times in virtual epoch seconds
``GET truth?username=``                 per group, the number of mails with each kind of event
``GET mails?username=&to=``             captured mails with bodies
``PUT tenants/{username}/inbound``      ``{"url", "headers"}``: the URL for replies, posted as raw MIME
``POST credentials``                    ``{"username", "api_key"}``; a null key revokes the username's key
``POST events``                         ``{"username", "transaction_id"|"message_id", "type", "data"?, "occurred_at"?}``
``POST scenarios``                      ``{"username"?, "scenarios"?: [{"name", "probability"?, "routes"?}],
                                        "switches"?}``
``POST clock/advance``                  ``{"seconds"}``, unless an external clock was given
``POST reset``                          ``{"username"?}``
======================================  ===============================================================================

``ledger``, ``truth`` and ``mails`` need a username and answer 422 without one.
"""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from domain.bounded_json import parse_json
from everlytic.sandbox.access import RequestRejected, get_simulation, json_response
from everlytic.sandbox.clock import format_iso
from everlytic.sandbox.scenarios import DEFAULT_PROBABILITY, READ, Behaviour, Scenario, get_switch
from everlytic.sandbox.simulation import Simulation
from everlytic.sandbox.state import CapturedMail, Event, Tenant
from everlytic.sandbox.validation import is_url

PREFIX = "/__sandbox__"

router = APIRouter(prefix=PREFIX)


def _refuse(message: str, status: int = 422) -> RequestRejected:
    return RequestRejected(json_response({"detail": message}, status))


async def _parse_body(request: Request) -> dict[str, Any]:
    try:
        value = parse_json(await request.body() or b"{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _refuse("The body must be a JSON object.")
    return value


def _require_text(value: dict[str, Any], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not text:
        raise _refuse(f"{name} must be a non-empty text.")
    return text


def _get_tenant(request: Request) -> Tenant:
    username = request.query_params.get("username")
    if not username:
        raise _refuse("Add the query parameter username.")
    return get_simulation(request).tenant(username)


@router.get("/state")
async def get_state(request: Request) -> Response:
    """Return counts in total and per username."""
    simulation = get_simulation(request)
    dispatcher, tenants = simulation.dispatcher, simulation.tenants
    return json_response(
        {
            "now": format_iso(simulation.clock.now()),
            "now_epoch": simulation.clock.now(),
            "mails": sum(len(tenant.mails) for tenant in tenants.values()),
            "pending_people_events": sum(tenant.pending_reactions for tenant in tenants.values()),
            "pending_deliveries": sum(simulation.notifier.count_pending(tenant) for tenant in tenants.values()),
            "failed_deliveries": len(dispatcher.failed),
            "due_now": dispatcher.busy + simulation.scheduler.is_overdue(),
            "deliveries": dict(dispatcher.counts),
            "requests": dict(simulation.requests),
            "tenants": {
                name: {
                    "mails": len(tenant.mails),
                    "webhooks": len(tenant.webhooks),
                    "pending_people_events": tenant.pending_reactions,
                    "pending_deliveries": simulation.notifier.count_pending(tenant),
                    "failed_deliveries": sum(delivery.username == name for delivery in dispatcher.failed.values()),
                    "faults": dict(tenant.faults),
                }
                for name, tenant in tenants.items()
            },
        }
    )


@router.get("/ledger")
async def get_ledger(request: Request) -> Response:
    """Return every mail with its events."""
    return json_response(_get_tenant(request).build_ledger())


@router.get("/truth")
async def get_truth(request: Request) -> Response:
    """Return the totals per group."""
    return json_response(_get_tenant(request).build_totals())


@router.get("/mails")
async def list_mails(request: Request) -> Response:
    """Return captured mails with bodies."""
    recipient = request.query_params.get("to", "").lower()
    mails = [mail for mail in _get_tenant(request).mails if recipient in ("", mail.recipient.lower())]
    return json_response([_to_json(mail) for mail in mails])


def _to_json(mail: CapturedMail) -> dict[str, Any]:
    names = (
        "transaction_id",
        "message_id",
        "rfc_message_id",
        "recipient",
        "sender",
        "reply_to",
        "subject",
        "html",
        "text",
        "track_opens",
        "track_links",
    )
    return {**{name: getattr(mail, name) for name in names}, "group": mail.group, "custom_headers": mail.custom_headers}


@router.put("/tenants/{username}/inbound")
async def set_inbound(request: Request, username: str) -> Response:
    """Set the URL for replies; replies that wait for a retry use it too."""
    value = await _parse_body(request)
    headers = value.get("headers") or {}
    if not isinstance(headers, dict):
        raise _refuse("headers must be an object.")
    if not is_url(value.get("url")):
        raise _refuse("url must be an http or https URL.")
    inbound = {"url": _require_text(value, "url"), "headers": {str(name): str(text) for name, text in headers.items()}}
    get_simulation(request).tenant(username).inbound = inbound
    return json_response(inbound)


@router.post("/credentials")
async def set_credentials(request: Request) -> Response:
    """Register or revoke the API key of a username; it replaces the default key."""
    value = await _parse_body(request)
    is_revoked = "api_key" in value and value["api_key"] is None
    get_simulation(request).credentials[_require_text(value, "username")] = (
        None if is_revoked else _require_text(value, "api_key")
    )
    request.app.state.usernames_by_header.clear()
    return json_response({"username": value["username"]}, 201)


@router.post("/events")
async def inject_event(request: Request) -> Response:
    """Add an event to a mail: a webhook event type, or reply, one_click or complaint."""
    value, simulation = await _parse_body(request), get_simulation(request)
    tenant = simulation.tenant(_require_text(value, "username"))
    name = value.get("transaction_id") or value.get("message_id")
    mail = tenant.find_mail(name) if isinstance(name, str) else None
    if mail is None:
        raise _refuse("There is no such mail; set transaction_id or message_id to that of a captured mail.", 404)
    data = value.get("data") or {}
    moment = _parse_moment(value.get("occurred_at"), simulation)
    if not isinstance(data, dict):
        raise _refuse("data must be an object.")
    event = Event(_require_text(value, "type"), moment, mail, data)
    simulation.record_event(tenant, event)
    return json_response({"id": event.id, "occurred_at": event.occurred_at}, 201)


def _parse_moment(value: object, simulation: Simulation) -> float:
    if value is None:
        return float(int(simulation.clock.now()))
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise _refuse("occurred_at must be an ISO instant with an offset.")
    return instant.timestamp()


@router.post("/scenarios")
async def set_scenarios(request: Request) -> Response:
    """Replace the active scenarios of one username or of all, and set switches.

    The username's read counter restarts, so that the same reads get the same faults every time.
    """
    value, simulation = await _parse_body(request), get_simulation(request)
    username = value.get("username")
    behaviour = simulation.behaviour
    if isinstance(username, str) and username:
        behaviour = simulation.tenant(username).behaviour
        simulation.tenant(username).request_counts[READ] = 0
    try:
        _update_behaviour(behaviour, value)
    except (TypeError, KeyError, AttributeError):
        raise _refuse('Write {"scenarios": [{"name", "probability", "routes"}], "switches": {name: value}}.') from None
    except ValueError as error:
        raise _refuse(str(error)) from error
    scenarios = [
        {"name": scenario.fault, "probability": scenario.probability, "routes": scenario.routes}
        for scenario in behaviour.scenarios.values()
    ]
    return json_response({"scenarios": scenarios, "switches": behaviour.switches})


def _update_behaviour(behaviour: Behaviour, value: dict[str, Any]) -> None:
    switches = {name: get_switch(name).parse(setting) for name, setting in (value.get("switches") or {}).items()}
    scenarios = [
        Scenario.create(item["name"], float(item.get("probability", DEFAULT_PROBABILITY)), item.get("routes") or ())
        for item in value.get("scenarios") or ()
    ]
    behaviour.switches.update(switches)
    if "scenarios" in value:
        behaviour.scenarios = {scenario.fault: scenario for scenario in scenarios}


@router.post("/clock/advance")
async def advance_clock(request: Request) -> Response:
    """Move the clock forward by virtual seconds; events that become due happen at once, in order."""
    simulation = get_simulation(request)
    seconds = (await _parse_body(request)).get("seconds")
    if not simulation.clock.is_adjustable:
        raise _refuse("The sandbox runs on an external clock, which cannot be advanced.", 409)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        raise _refuse("seconds must be a number of at least 0.")
    simulation.clock.advance(seconds)
    simulation.scheduler.run_due()
    return json_response({"now": format_iso(simulation.clock.now()), "now_epoch": simulation.clock.now()})


@router.post("/reset")
async def reset(request: Request) -> Response:
    """Delete the data of one username, or of all."""
    username = (await _parse_body(request)).get("username")
    get_simulation(request).reset(username if isinstance(username, str) else None)
    return json_response({"status": True})
