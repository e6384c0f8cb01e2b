"""What every route of both hosts goes through first: Basic auth and faults; and the error bodies of each host."""

import base64
import binascii
import json
import socket
import struct
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from domain.bounded_json import parse_json
from everlytic.sandbox.scenarios import Behaviour, chance
from everlytic.sandbox.state import Tenant
from everlytic.sandbox.world import World

V1, TENANT = "v1", "tenant"

_PAGE = (
    "<!DOCTYPE html><html><head><title>everlytic.net | {status}: {title}</title></head>"
    "<body><h1>{title} <span>Error code {status}</span></h1><p>cloudflare</p></body></html>"
)
_PAGES = {"html_error": (502, "Bad gateway"), "firewall": (403, "Sorry, you have been blocked")}


def answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(json.dumps(value), status, headers, "application/json")


def v1_error(code: int, message: str, problems: list[tuple[str, str, str]] | None = None) -> Response:
    """The v1 error body; ``problems`` are (location, reason, message)."""
    errors = [
        {"domain": "global", "reason": reason, "message": text, "locationType": "request", "location": location}
        for location, reason, text in problems or []
    ]
    return answer({"code": code, "message": message, "error": {"errors": errors}}, code)


def tenant_error(status: int, message: str, code: str | None = None) -> Response:
    """The tenant API's error body, whose code is text."""
    return answer({"error": {"code": code or str(status), "message": message}}, status)


def error(host: str, status: int, message: str) -> Response:
    """A plain error in the shape of ``host``."""
    return v1_error(status, message) if host == V1 else tenant_error(status, message)


class Refusal(Exception):
    """Ends a request early with this response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class Reset(Response):
    """Instead of an answer: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        """Abort the transport and wait until the server has noticed."""
        transport = scope["app"].state.transports.get(tuple(scope["client"]))
        if transport is not None:
            tcp = transport.get_extra_info("socket")
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def world_of(request: Request) -> World:
    """The world this application serves."""
    world = request.app.state.world
    assert isinstance(world, World)
    return world


def authenticate(request: Request, host: str) -> Tenant:
    """The tenant of the request's Basic credentials; raises Refusal with the host's 401."""
    world = world_of(request)
    header = request.headers.get("authorization", "")
    known: dict[str, str] = request.app.state.known
    username = known.get(header)
    if username is None:
        username, api_key = _credentials(header)
        if not world.knows(username, api_key):
            raise Refusal(_login_required(host))
        known[header] = username
    return world.tenant(username)


def _credentials(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError, ValueError):
        decoded = ""
    username, _, api_key = decoded.partition(":")
    return username, api_key


def _login_required(host: str) -> Response:
    if host == V1:
        return v1_error(401, "Login Required", [("authorization", "required", "Login Required")])
    return tenant_error(401, "Login Required")


async def enter(request: Request, host: str, route: str) -> Tenant:
    """Authenticate and meet the faults of ``route``; raises Refusal for those that end the request.

    One that spoils the answer is left in the request's state for whoever makes the answer.
    """
    tenant = authenticate(request, host)
    world = world_of(request)
    world.requests[route] += 1
    tenant.tries[route] += 1
    fault = tenant.behaviour.draw(route, f"{route}:{tenant.tries[route]}")
    request.state.fault = fault
    if fault is not None:
        tenant.faults[fault] += 1
        await strike(fault, world, tenant, host, f"{tenant.tries[route]}")
    return tenant


async def strike(fault: str, world: World, tenant: Tenant, host: str, key: str) -> None:
    """Raise the Refusal of a fault that strikes before acceptance; wait for ``slow``; pass over the rest."""
    behaviour = tenant.behaviour
    seconds = {"Retry-After": _retry_after(world, behaviour)}
    if fault == "slow":
        await world.pause(0.2 + 1.8 * chance(behaviour.seed, "slowness", key))
    elif fault == "rate_limited":
        how = behaviour.value("retry_after")
        named = how == "always" or (how == "both" and chance(behaviour.seed, "retry after", key) < 0.5)  # noqa: PLR2004
        refusal = error(host, 429, "Too Many Requests")
        refusal.headers.update(seconds if named else {})
        raise Refusal(refusal)
    elif fault == "server_error":
        raise Refusal(error(host, 500, "Internal Server Error"))
    elif fault == "unavailable":
        refusal = error(host, 503, "Service Unavailable")
        refusal.headers.update(seconds)
        raise Refusal(refusal)
    elif fault in _PAGES:
        status, title = _PAGES[fault]
        raise Refusal(Response(_PAGE.format(status=status, title=title), status, media_type="text/html"))
    elif fault == "reset_before_accept":
        raise Refusal(Reset())


def _retry_after(world: World, behaviour: Behaviour) -> str:
    """Seconds, or the HTTP date after as many; the server's own Date header says from when that counts."""
    seconds = behaviour.number("retry_after_seconds")
    if behaviour.value("retry_after_form") == "seconds":
        return str(seconds)
    return formatdate(world.clock.real_now() + seconds, usegmt=True)


async def json_object(request: Request, host: str) -> dict[str, Any]:
    """The request's JSON object; raises Refusal with 400 for anything else."""
    try:
        value = parse_json(await request.body())
    except ValueError:
        value = None
    if not isinstance(value, dict):
        if host == V1:
            raise Refusal(v1_error(400, "Malformed JSON", [("body", "invalid", "The body is not a JSON object")]))
        raise Refusal(tenant_error(400, "The body is not a JSON object"))
    return value
