"""Live queries on the wire."""

from typing import Annotated, Any

from pydantic import Field

from api.http.pagination import Wire


class LiveResult(Wire):
    """What one of many queries answered: a `result` with status 200, else a `problem`."""

    query: Annotated[str, Field(description="As it was asked.")]
    status: int
    etag: str
    result: Annotated[Any, Field(description="The body of the GET.")] = None
    problem: Annotated[dict[str, Any] | None, Field(description="Why there is no result, as RFC 9457 has it.")] = None


class LiveBatch(Wire):
    """The results of many queries, all of one moment, in the order in which they were asked."""

    results: list[LiveResult]
