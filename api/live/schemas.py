"""JSON of live queries."""

from typing import Annotated, Any

from pydantic import Field

from api.http.pagination import Wire


class LiveResult(Wire):
    """The result of one query of a batch: a `result` with status 200, else a `problem`."""

    query: Annotated[str, Field(description="The query as it was sent.")]
    status: int
    etag: str
    result: Annotated[Any, Field(description="The body of the GET.")] = None
    problem: Annotated[dict[str, Any] | None, Field(description="Why there is no result, as in RFC 9457.")] = None


class LiveBatch(Wire):
    """The results of many queries in one snapshot, in the order of the request."""

    results: list[LiveResult]
