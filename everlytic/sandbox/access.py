"""Basic authentication, fault injection and error responses, shared by the routes of both APIs."""

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
from everlytic.sandbox.scenarios import Behaviour, seeded_random
from everlytic.sandbox.simulation import Simulation
from everlytic.sandbox.state import Tenant

V1, TENANT = "v1", "tenant"

_PAGE = (
    "<!DOCTYPE html><html><head><title>everlytic.net | {status}: {title}</title></head>"
    "<body><h1>{title} <span>Error code {status}</span></h1><p>cloudflare</p></body></html>"
)
_PAGES = {"html_error": (502, "Bad gateway"), "firewall": (403, "Sorry, you have been blocked")}


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Response(json.dumps(value), status, headers, "application/json")


def v1_error_response(code: int, message: str, problems: list[tuple[str, str, str]] | None = None) -> Response:
    """Return an error of the v1 service; ``problems`` are (location, reason, message)."""
    errors = [
        {"domain": "global", "reason": reason, "message": text, "locationType": "request", "location": location}
        for location, reason, text in problems or []
    ]
    return json_response({"code": code, "message": message, "error": {"errors": errors}}, code)


def tenant_error_response(status: int, message: str, code: str | None = None) -> Response:
    """Return an error of the tenant API, whose code is a text."""
    return json_response({"error": {"code": code or str(status), "message": message}}, status)


def error_response(host: str, status: int, message: str) -> Response:
    """Return an error in the shape of ``host``, V1 or TENANT."""
    return v1_error_response(status, message) if host == V1 else tenant_error_response(status, message)


class RequestRejected(Exception):
    """Ends a request with this response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class ConnectionReset(Response):
    """Resets the connection instead of responding."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        """Abort the transport and wait for the disconnect event."""
        transport = scope["app"].state.transports.get(tuple(scope["client"]))
        if transport is not None:
            tcp = transport.get_extra_info("socket")
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def get_simulation(request: Request) -> Simulation:
    """Return the simulation of this application."""
    simulation = request.app.state.simulation
    assert isinstance(simulation, Simulation)
    return simulation


def authenticate(request: Request, host: str) -> Tenant:
    """Return the tenant of the request's Basic credentials; raises RequestRejected with the host's 401."""
    simulation = get_simulation(request)
    header = request.headers.get("authorization", "")
    usernames: dict[str, str] = request.app.state.usernames_by_header
    username = usernames.get(header)
    if username is None:
        username, api_key = _parse_credentials(header)
        if not simulation.is_key_valid(username, api_key):
            raise RequestRejected(_unauthorized_response(host))
        usernames[header] = username
    return simulation.tenant(username)


def _parse_credentials(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError, ValueError):
        decoded = ""
    username, _, api_key = decoded.partition(":")
    return username, api_key


def _unauthorized_response(host: str) -> Response:
    if host == V1:
        return v1_error_response(401, "Login Required", [("authorization", "required", "Login Required")])
    return tenant_error_response(401, "Login Required")


async def receive_request(request: Request, host: str, route: str) -> Tenant:
    """Authenticate the request and apply a fault of ``route``; raises RequestRejected when the fault ends the request.

    A fault that corrupts the response is stored in the request's state; the code that builds the response applies it.
    """
    tenant = authenticate(request, host)
    simulation = get_simulation(request)
    simulation.requests[route] += 1
    tenant.request_counts[route] += 1
    fault = tenant.behaviour.pick_fault(route, f"{route}:{tenant.request_counts[route]}")
    request.state.fault = fault
    if fault is not None:
        tenant.faults[fault] += 1
        await apply_fault(fault, simulation, tenant, host, f"{tenant.request_counts[route]}")
    return tenant


async def apply_fault(fault: str, simulation: Simulation, tenant: Tenant, host: str, key: str) -> None:
    """Raise RequestRejected for a fault that precedes acceptance, wait for ``slow``, and ignore all other faults."""
    behaviour = tenant.behaviour
    retry_after = {"Retry-After": _build_retry_after(simulation, behaviour)}
    if fault == "slow":
        await simulation.pause(0.2 + 1.8 * seeded_random(behaviour.seed, "slowness", key))
    elif fault == "rate_limited":
        mode = behaviour.get("retry_after")
        is_named = mode == "always" or (mode == "both" and seeded_random(behaviour.seed, "retry after", key) < 0.5)  # noqa: PLR2004
        response = error_response(host, 429, "Too Many Requests")
        response.headers.update(retry_after if is_named else {})
        raise RequestRejected(response)
    elif fault == "server_error":
        raise RequestRejected(error_response(host, 500, "Internal Server Error"))
    elif fault == "refused_content" and host == V1:
        problem = ("headers.subject", "invalid", "The subject has a word that is not allowed")
        raise RequestRejected(v1_error_response(400, "Invalid request", [problem]))
    elif fault == "unavailable":
        response = error_response(host, 503, "Service Unavailable")
        response.headers.update(retry_after)
        raise RequestRejected(response)
    elif fault in _PAGES:
        status, title = _PAGES[fault]
        raise RequestRejected(Response(_PAGE.format(status=status, title=title), status, media_type="text/html"))
    elif fault == "reset_before_accept":
        raise RequestRejected(ConnectionReset())


def _build_retry_after(simulation: Simulation, behaviour: Behaviour) -> str:
    """Return seconds, or the HTTP date after that many real seconds, which matches the server's Date header."""
    seconds = behaviour.get_int("retry_after_seconds")
    if behaviour.get("retry_after_form") == "seconds":
        return str(seconds)
    return formatdate(simulation.clock.real_now() + seconds, usegmt=True)


async def parse_json_object(request: Request, host: str) -> dict[str, Any]:
    """Return the request's JSON object; raises RequestRejected with 400 for any other body."""
    try:
        value = parse_json(await request.body())
    except ValueError:
        value = None
    if not isinstance(value, dict):
        if host == V1:
            problem = ("body", "invalid", "The body is not a JSON object")
            raise RequestRejected(v1_error_response(400, "Malformed JSON", [problem]))
        raise RequestRejected(tenant_error_response(400, "The body is not a JSON object"))
    return value
