"""The control plane under ``/__sandbox__/``, a path Everlytic cannot have: set the stage, look at the truth.

======================================  ===============================================================================
``GET state``                           counts, faults struck, virtual now (``now`` ISO, ``now_epoch`` seconds);
                                        ``due_now`` is 0 when all that is due was done and tried
``GET ledger?username=``                the truth per mail, times in virtual epoch seconds
``GET truth?username=``                 the truth per group: mails that each thing happened to
``GET mails?username=&to=``             captured mails with bodies
``PUT tenants/{username}/inbound``      ``{"url", "headers"}``: where replies are posted as raw MIME
``POST credentials``                    ``{"username", "api_key"}``; null revokes the key, so that none is good
``POST events``                         ``{"username", "transaction_id"|"message_id", "type", "data"?, "occurred_at"?}``
``POST scenarios``                      ``{"username"?, "scenarios"?: [{"name", "probability"?, "routes"?}],
                                        "switches"?}``
``POST clock/advance``                  ``{"seconds"}``, when no outer clock was given
``POST reset``                          ``{"username"?}``
======================================  ===============================================================================

Everything is told per username; without one ``ledger``, ``truth`` and ``mails`` answer 422.
"""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from domain.bounded_json import parse_json
from everlytic.sandbox.clock import iso
from everlytic.sandbox.gate import Refusal, answer, world_of
from everlytic.sandbox.scenarios import DEFAULT_PROBABILITY, READ, Behaviour, Scenario, switch_named
from everlytic.sandbox.state import CapturedMail, Event, Tenant
from everlytic.sandbox.validation import is_url
from everlytic.sandbox.world import World

PREFIX = "/__sandbox__"

router = APIRouter(prefix=PREFIX)


def _refuse(message: str, status: int = 422) -> Refusal:
    return Refusal(answer({"detail": message}, status))


async def _body(request: Request) -> dict[str, Any]:
    try:
        value = parse_json(await request.body() or b"{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _refuse("The body must be a JSON object.")
    return value


def _text(value: dict[str, Any], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not text:
        raise _refuse(f"{name} must be a text.")
    return text


def _asked(request: Request) -> Tenant:
    username = request.query_params.get("username")
    if not username:
        raise _refuse("Say whose: ?username=")
    return world_of(request).tenant(username)


@router.get("/state")
async def state(request: Request) -> Response:
    """Counts over everything, and per username."""
    world = world_of(request)
    postman, tenants = world.postman, world.tenants
    return answer(
        {
            "now": iso(world.clock.now()),
            "now_epoch": world.clock.now(),
            "mails": sum(len(one.mails) for one in tenants.values()),
            "pending_people_events": sum(one.pending_people for one in tenants.values()),
            "pending_deliveries": sum(world.announcer.pending(one) for one in tenants.values()),
            "failed_deliveries": len(postman.parked),
            "due_now": postman.busy + world.agenda.overdue(),
            "deliveries": dict(postman.counts),
            "requests": dict(world.requests),
            "tenants": {
                name: {
                    "mails": len(one.mails),
                    "webhooks": len(one.hooks),
                    "pending_people_events": one.pending_people,
                    "pending_deliveries": world.announcer.pending(one),
                    "failed_deliveries": sum(parcel.username == name for parcel in postman.parked.values()),
                    "faults": dict(one.faults),
                }
                for name, one in tenants.items()
            },
        }
    )


@router.get("/ledger")
async def ledger(request: Request) -> Response:
    """The truth per mail."""
    return answer(_asked(request).ledger())


@router.get("/truth")
async def truth(request: Request) -> Response:
    """The truth per group."""
    return answer(_asked(request).truth())


@router.get("/mails")
async def mails(request: Request) -> Response:
    """Captured mails, whole."""
    wanted = request.query_params.get("to", "").lower()
    return answer([_whole(one) for one in _asked(request).mails if wanted in ("", one.recipient.lower())])


def _whole(mail: CapturedMail) -> dict[str, Any]:
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
    )
    return {**{name: getattr(mail, name) for name in names}, "group": mail.group, "custom_headers": mail.custom_headers}


@router.put("/tenants/{username}/inbound")
async def set_inbound(request: Request, username: str) -> Response:
    """Say where replies go; those already waiting follow with their next try."""
    value = await _body(request)
    headers = value.get("headers") or {}
    if not isinstance(headers, dict):
        raise _refuse("headers must be an object.")
    if not is_url(value.get("url")):
        raise _refuse("url must be a web address.")
    inbound = {"url": _text(value, "url"), "headers": {str(name): str(text) for name, text in headers.items()}}
    world_of(request).tenant(username).inbound = inbound
    return answer(inbound)


@router.post("/credentials")
async def set_credentials(request: Request) -> Response:
    """Register an API key, or revoke it; it replaces the username's default key."""
    value = await _body(request)
    is_revoked = "api_key" in value and value["api_key"] is None
    world_of(request).credentials[_text(value, "username")] = None if is_revoked else _text(value, "api_key")
    request.app.state.known.clear()
    return answer({"username": value["username"]}, 201)


@router.post("/events")
async def inject(request: Request) -> Response:
    """Make something happen to a mail; types as in webhooks, and reply, one_click, complaint."""
    value, world = await _body(request), world_of(request)
    tenant = world.tenant(_text(value, "username"))
    name = value.get("transaction_id") or value.get("message_id")
    mail = tenant.find(name) if isinstance(name, str) else None
    if mail is None:
        raise _refuse("There is no such mail; give its transaction_id or message_id.", 404)
    data = value.get("data") or {}
    moment = _moment(value.get("occurred_at"), world)
    if not isinstance(data, dict):
        raise _refuse("data must be an object.")
    event = Event(_text(value, "type"), moment, mail, data)
    world.happen(tenant, event)
    return answer({"id": event.id, "occurred_at": event.occurred_at}, 201)


def _moment(value: object, world: World) -> float:
    if value is None:
        return float(int(world.clock.now()))
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise _refuse("occurred_at must be an ISO instant with an offset.")
    return instant.timestamp()


@router.post("/scenarios")
async def set_scenarios(request: Request) -> Response:
    """Replace the scenarios in force, for one username or for everyone, and set switches.

    A username's reads are counted anew, so that the same faults strike the same of them every time.
    """
    value, world = await _body(request), world_of(request)
    username = value.get("username")
    behaviour = world.behaviour
    if isinstance(username, str) and username:
        behaviour = world.tenant(username).behaviour
        world.tenant(username).tries[READ] = 0
    try:
        _set(behaviour, value)
    except (TypeError, KeyError, AttributeError):
        raise _refuse('Write {"scenarios": [{"name", "probability", "routes"}], "switches": {name: value}}.') from None
    except ValueError as error:
        raise _refuse(str(error)) from error
    scenarios = [
        {"name": one.fault, "probability": one.probability, "routes": one.routes}
        for one in behaviour.scenarios.values()
    ]
    return answer({"scenarios": scenarios, "switches": behaviour.switches})


def _set(behaviour: Behaviour, value: dict[str, Any]) -> None:
    switches = {name: switch_named(name).read(one) for name, one in (value.get("switches") or {}).items()}
    scenarios = [
        Scenario.make(one["name"], float(one.get("probability", DEFAULT_PROBABILITY)), one.get("routes") or ())
        for one in value.get("scenarios") or ()
    ]
    behaviour.switches.update(switches)
    if "scenarios" in value:
        behaviour.scenarios = {one.fault: one for one in scenarios}


@router.post("/clock/advance")
async def advance(request: Request) -> Response:
    """Jump forward by virtual seconds; what became due happens at once, in order."""
    world = world_of(request)
    seconds = (await _body(request)).get("seconds")
    if not world.clock.adjustable:
        raise _refuse("The clock was given from outside and cannot be moved here.", 409)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        raise _refuse("seconds must be a number of at least 0.")
    world.clock.advance(seconds)
    world.agenda.run_due()
    return answer({"now": iso(world.clock.now()), "now_epoch": world.clock.now()})


@router.post("/reset")
async def reset(request: Request) -> Response:
    """Forget one username's data, or everyone's."""
    username = (await _body(request)).get("username")
    world_of(request).reset(username if isinstance(username, str) else None)
    return answer({"status": True})
