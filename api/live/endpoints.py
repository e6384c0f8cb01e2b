"""HTTP for batches of queries. Like every GET a batch can be subscribed to: one connection then serves many queries."""

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
from api.live.schemas import LiveBatch
from api.live.subrequest import SERVER_ERROR, SubResponse, run_subrequest

router = create_router("/api/workspaces/{workspaceId}/live", "live")

MAX_QUERIES = 50
ROOTS = ("/api/workspaces/", "/api/metrics/")
OK = 200

_ROUTE_KEYS = {"route", "endpoint", "path_params", "router"}
_BATCH_HEADERS = {b"accept", b"if-none-match"}


@dataclass(frozen=True, slots=True)
class BatchQuery:
    """One query of a batch: its text, its position from 0, and the path and query string in it."""

    query: str
    number: int
    path: str
    parameters: str

    def error(self, message: str) -> Malformed:
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
            max_length=MAX_QUERIES,
            description="The path of a GET of this workspace that returns JSON, with its query string.",
        ),
    ],
) -> Response:
    """Run many GETs of the workspace in one snapshot, so that their results are consistent with each other."""
    queries = [_parse(member.workspace_id, text, number) for number, text in enumerate(query)]
    answers = [await _run(request, member, batch_query) for batch_query in queries]
    results = b",".join(_to_json(batch_query, answer) for batch_query, answer in zip(queries, answers, strict=True))
    return Response(b'{"results":[' + results + b"]}", media_type="application/json")


def _parse(workspace_id: UUID, query: str, number: int) -> BatchQuery:
    """Return the parsed query; raises Malformed unless it is another GET of the workspace."""
    roots = [f"{root}{workspace_id}" for root in ROOTS]
    parsed = BatchQuery(query, number, "", "")
    try:
        parts = urlsplit(query)
    except ValueError:
        raise parsed.error("is not a path") from None
    path = unquote(parts.path)
    is_ours = any(path == root or path.startswith(f"{root}/") for root in roots)
    if not is_ours or parts.scheme or parts.netloc or path.rstrip("/") == f"{roots[0]}/live":
        raise parsed.error(f"must be the path of another GET below {' or '.join(roots)}")
    # Clients may already have encoded the query string. HTTP allows only ASCII, so the rest is encoded here.
    return BatchQuery(query, number, path, quote(parts.query, safe="%!$&'()*+,;=:@/?~"))


async def _run(request: Request, member: Member, query: BatchQuery) -> SubResponse:
    """Run a query in the caller's transaction, in a savepoint that is rolled back when the query fails.

    Raises Malformed when the response is not JSON, and NotAvailable when the query failed with a server error.
    """
    savepoint = await (await member.session.connection()).begin_nested()
    answer = await _send(request.state.within, request.scope, member, query)
    await (savepoint.commit() if answer.status == OK else savepoint.rollback())
    if answer.status >= SERVER_ERROR:
        # The whole batch fails, so that the client retries: it would not retry a part of a result.
        raise NotAvailable(f"Query {query.number + 1}, `{query.query}`, could not be answered. Try again.")
    if not answer.is_json:
        raise query.error("must be the path of a GET that returns JSON")
    return answer


async def _send(within: ASGIApp, scope: Scope, member: Member, query: BatchQuery) -> SubResponse:
    """Send a query as a request of its own, for the caller that is already authenticated."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _BATCH_HEADERS]
    return await run_subrequest(
        within,
        {
            **{name: value for name, value in scope.items() if name not in _ROUTE_KEYS},
            "path": query.path,
            "raw_path": quote(query.path).encode(),
            "query_string": query.parameters.encode(),
            "headers": [*headers, (b"accept", b"application/json")],
            "state": {**scope["state"], "caller": member.caller},
        },
    )


def _to_json(query: BatchQuery, answer: SubResponse) -> bytes:
    """Return one entry of the batch. A problem leaves out the request id, which would differ each time."""
    name, body = b"result", answer.body
    if answer.status != OK:
        problem = json.loads(body)
        problem.pop("requestId", None)
        name, body = b"problem", json.dumps(problem, ensure_ascii=False, separators=(",", ":")).encode()
    fields = f'"query":{json.dumps(query.query)},"status":{answer.status},"etag":{json.dumps(etag_of(body))}'
    return b"{" + fields.encode() + b',"' + name + b'":' + body + b"}"
