"""How an answer to a read comes out when the provider gets it wrong: cut short, repeated, out of order, unreadable."""

import json
from collections.abc import Sequence
from typing import Any

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from everlytic.sandbox.scenarios import chance

REPEATED = 3
"""How many rows a page repeats of the page before."""


class Torn(Response):
    """Says how long its body is, sends two thirds of it, and hangs up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a part and close the connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": _part(self.body), "more_body": True})
        transport = scope["app"].state.transports.get(tuple(scope["client"]))
        if transport is not None:
            transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass


def fault_of(request: Request) -> str | None:
    """The fault that strikes the answer to this read, if any."""
    return getattr(request.state, "fault", None)


def cut(request: Request, response: Response) -> Response:
    """The response, or what a fault leaves of it."""
    if fault_of(request) == "truncated_json":
        return Response(_part(response.body), response.status_code, media_type="application/json")
    if fault_of(request) == "broken_off":
        return Torn(response.body, response.status_code, media_type="application/json")
    return response


def spoil(request: Request, shown: list[dict[str, Any]], before: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a page as a fault makes them; ``before`` are the last ones of the page before. No row is lost."""
    fault = fault_of(request)
    if fault == "repeated_rows":
        return [*before, *shown, *shown[:1]]
    if fault == "shuffled_rows":
        return sorted(shown, key=lambda row: chance("shuffled", json.dumps(row)))
    return shown


def unreadable(first: dict[str, Any]) -> list[object]:
    """Rows that nobody can read, or not wholly, in the likeness of ``first``: the last one has an id."""
    odd = {"send_date": "soon", "opens": None, "event_type": None}
    named = {name: f"odd-{first[name]}" for name in ("id", "event_id") if name in first}
    return [None, {"data": 7}, {"data": {"group_name": {"not": "a name"}}}, {"data": {**first, **odd, **named}}]


def _part(body: bytes | memoryview) -> bytes:
    whole = bytes(body)
    return whole[: len(whole) * 2 // 3]
