"""HTTP for many queries at once; as every GET it can be subscribed to, and then one connection carries them all."""

import json
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, unquote, urlsplit
from uuid import UUID

from fastapi import Query, Request, Response
from starlette.types import ASGIApp, Scope

from api.http.dependencies import Member, SnapshotDep
from api.http.errors import Malformed, NotAvailable, NotFound, responses
from api.http.middleware import etag_of
from api.http.routing import create_router
from api.live.asking import SERVER_ERROR, Answer, run_query
from api.live.schemas import LiveBatch

router = create_router("/api/workspaces/{workspaceId}/live", "live")

MOST_QUERIES = 50
ROOTS = ("/api/workspaces/", "/api/metrics/")
OK = 200

_OF_THE_ROUTE = {"route", "endpoint", "path_params", "router"}
_OF_THE_WHOLE = {b"accept", b"if-none-match"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One of the queries: as it was written, which one it is, and what it asks."""

    query: str
    number: int
    path: str
    parameters: str

    def refusal(self, message: str) -> Malformed:
        """Return the error that names this query."""
        problem = {"location": ["query", "query", self.number], "message": message}
        return Malformed(f"Query {self.number + 1}, `{self.query}`, {message}.", errors=[problem])


@router.get("", operation_id="getLive", response_model=LiveBatch, responses=responses(NotFound, NotAvailable))
async def get_live(
    request: Request,
    member: SnapshotDep,
    query: Annotated[
        list[str],
        Query(
            min_length=1,
            max_length=MOST_QUERIES,
            description="The path of a GET of this workspace that answers JSON, its query string included.",
        ),
    ],
) -> Response:
    """The results of many GETs of the workspace, all of one moment: what stands in one is not missing in another."""
    asked = [_asked(member.workspace_id, one, number) for number, one in enumerate(query)]
    answers = [await _answer(request, member, one) for one in asked]
    results = b",".join(_result(one, answer) for one, answer in zip(asked, answers, strict=True))
    return Response(b'{"results":[' + results + b"]}", media_type="application/json")


def _asked(workspace_id: UUID, query: str, number: int) -> Asked:
    """Return what a query asks; raises Malformed unless it is another one of the workspace."""
    roots = [f"{root}{workspace_id}" for root in ROOTS]
    asked = Asked(query, number, "", "")
    try:
        parts = urlsplit(query)
    except ValueError:
        raise asked.refusal("is not a path") from None
    path = unquote(parts.path)
    is_ours = any(path == root or path.startswith(f"{root}/") for root in roots)
    if not is_ours or parts.scheme or parts.netloc or path.rstrip("/") == f"{roots[0]}/live":
        raise asked.refusal(f"must be the path of another GET below {' or '.join(roots)}")
    # Encoded by whoever wrote it; what they left as it is becomes ASCII, as HTTP has it.
    return Asked(query, number, path, quote(parts.query, safe="%!$&'()*+,;=:@/?~"))


async def _answer(request: Request, member: Member, asked: Asked) -> Answer:
    """Return what a query answers in the caller's transaction; one that fails there leaves it as it was.

    Raises Malformed when it is no JSON, and NotAvailable when the query could not be answered now.
    """
    point = await (await member.session.connection()).begin_nested()
    answer = await _ask(request.state.within, request.scope, member, asked)
    await (point.commit() if answer.status == OK else point.rollback())
    if answer.status >= SERVER_ERROR:
        # As a part of the result nobody would ask it again.
        raise NotAvailable(f"Query {asked.number + 1}, `{asked.query}`, could not be answered. Try again.")
    if not answer.is_json:
        raise asked.refusal("must be the path of a GET that returns JSON")
    return answer


async def _ask(within: ASGIApp, scope: Scope, member: Member, asked: Asked) -> Answer:
    """Ask a query as a request of its own, by who has come in already."""
    kept = [(name, value) for name, value in scope["headers"] if name not in _OF_THE_WHOLE]
    return await run_query(
        within,
        {
            **{name: value for name, value in scope.items() if name not in _OF_THE_ROUTE},
            "path": asked.path,
            "raw_path": quote(asked.path).encode(),
            "query_string": asked.parameters.encode(),
            "headers": [*kept, (b"accept", b"application/json")],
            "state": {**scope["state"], "caller": member.caller},
        },
    )


def _result(asked: Asked, answer: Answer) -> bytes:
    """Return one entry of the batch: a result as it was answered, a problem without the id of the one request."""
    name, body = b"result", answer.body
    if answer.status != OK:
        problem = json.loads(body)
        problem.pop("requestId", None)
        name, body = b"problem", json.dumps(problem, ensure_ascii=False, separators=(",", ":")).encode()
    told = f'"query":{json.dumps(asked.query)},"status":{answer.status},"etag":{json.dumps(etag_of(body))}'
    return b"{" + told.encode() + b',"' + name + b'":' + body + b"}"
