"""Corrupts responses to reads as faults require: truncated, with repeated, shuffled or unreadable rows."""

import json
from collections.abc import Sequence
from typing import Any

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from everlytic.sandbox.scenarios import seeded_random

REPEATED_ROWS = 3
"""How many rows of the previous page a page repeats."""


class InterruptedResponse(Response):
    """Declares its full length, sends two thirds of its body, and closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a part of the body and close the connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": truncate_body(self.body), "more_body": True})
        transport = scope["app"].state.transports.get(tuple(scope["client"]))
        if transport is not None:
            transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass


def get_fault(request: Request) -> str | None:
    """Return the fault for the response to this read, if any."""
    return getattr(request.state, "fault", None)


def truncate_response(request: Request, response: Response) -> Response:
    """Return the response, truncated or interrupted if the request has such a fault."""
    if get_fault(request) == "truncated_json":
        return Response(truncate_body(response.body), response.status_code, media_type="application/json")
    if get_fault(request) == "broken_off":
        return InterruptedResponse(response.body, response.status_code, media_type="application/json")
    return response


def corrupt_rows(
    request: Request, rows: list[dict[str, Any]], previous_rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the rows of a page as the fault changes them; no row is lost."""
    fault = get_fault(request)
    if fault == "repeated_rows":
        return [*previous_rows, *rows, *rows[:1]]
    if fault == "shuffled_rows":
        return sorted(rows, key=lambda row: seeded_random("shuffled", json.dumps(row)))
    return rows


def build_unreadable_rows(example: dict[str, Any]) -> list[object]:
    """Return rows that cannot be parsed, or not completely, similar to ``example``; only the last one has an id."""
    invalid = {"send_date": "soon", "opens": None, "event_type": None}
    ids = {name: f"odd-{example[name]}" for name in ("id", "event_id") if name in example}
    return [None, {"data": 7}, {"data": {"group_name": {"not": "a name"}}}, {"data": {**example, **invalid, **ids}}]


def truncate_body(body: bytes | memoryview) -> bytes:
    """Return the first two thirds of a body."""
    content = bytes(body)
    return content[: len(content) * 2 // 3]
