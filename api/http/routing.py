"""What every route of ours is made of: strict input, errors that are declared, and answers kept by Idempotency-Key."""

import json
import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response, params
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from api.http.errors import Malformed
from api.http.idempotency.service import Answer, Taken
from domain.bounded_json import JsonLimitExceeded, parse_json

_MAYBE_UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])|\x00")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_PARAMETER = re.compile(r"\{\w+\}")


DraftId: TypeAlias = Annotated[UUID, Path(alias="draftId")]
EnrollmentId: TypeAlias = Annotated[UUID, Path(alias="enrollmentId")]
EventId: TypeAlias = Annotated[UUID, Path(alias="eventId")]
ImportId: TypeAlias = Annotated[UUID, Path(alias="importId")]
JobId: TypeAlias = Annotated[UUID, Path(alias="jobId")]
KeyId: TypeAlias = Annotated[UUID, Path(alias="keyId")]
LeadId: TypeAlias = Annotated[UUID, Path(alias="leadId")]
ListId: TypeAlias = Annotated[UUID, Path(alias="listId")]
ReplyId: TypeAlias = Annotated[UUID, Path(alias="replyId")]
SequenceId: TypeAlias = Annotated[UUID, Path(alias="sequenceId")]
StepId: TypeAlias = Annotated[UUID, Path(alias="stepId")]
SuppressionId: TypeAlias = Annotated[UUID, Path(alias="suppressionId")]
UserId: TypeAlias = Annotated[UUID, Path(alias="userId")]
"""Ids in paths, by the names that the contract shows."""


class Replayed(Exception):
    """The request was answered before, under the same Idempotency-Key."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("answered before")
        self.answer = answer


class StrictRequest(Request):
    """A request whose JSON says each thing once and holds nothing that could not be stored."""

    async def json(self) -> Any:
        """Return the body; raises Malformed with the field named."""
        if not hasattr(self, "_strict_json"):
            self._strict_json = read_json(await self.body())
        return self._strict_json


class Route(APIRoute):
    """A route that reads strictly and keeps its answer where the caller asked for that."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler with ours around it; both run inside the request's transaction."""
        handle = super().get_route_handler()
        takes_json = self.body_field is not None and not isinstance(self.body_field.field_info, params.Form)

        async def handle_strictly(request: Request) -> Response:
            _require_storable_query(request)
            strict = StrictRequest(request.scope, request.receive)
            # Before FastAPI asks for it, which would answer any error of ours with a bare 400.
            if takes_json and await strict.body():
                if not _is_json(request):
                    raise _malformed(["header", "Content-Type"], "must be application/json, which the body is read as")
                await strict.json()
            try:
                response = await handle(strict)
            except Replayed as replayed:
                answer = replayed.answer
                headers = {**answer.headers, "Idempotency-Replayed": "true"}
                return Response(answer.body, answer.status, headers)
            taken: Taken | None = getattr(strict.state, "idempotency", None)
            if taken is not None:
                await taken.keep(Answer(response.status_code, response.headers, bytes(response.body)))
            return response

        return handle_strictly


class Room(APIRouter):
    """The router of a room; a path that is not under its prefix is not compared with each of its routes."""

    def __init__(self, prefix: str, *tags: str) -> None:
        super().__init__(prefix=prefix, tags=list(tags), route_class=Route)
        parts = _PARAMETER.split(prefix)
        self._under = re.compile("[^/]+".join(re.escape(part) for part in parts))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say whether a route of the room is the one asked for."""
        # Anywhere in the path, because what the service is mounted under comes before the prefix.
        return super().matches(scope) if self._under.search(scope["path"]) else (Match.NONE, {})


def room_router(prefix: str, *tags: str) -> APIRouter:
    """Return the router of a room."""
    return Room(prefix, *tags)


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def read_json(body: bytes) -> Any:
    """Return the value of a JSON text; raises Malformed for what is no JSON, said twice, or could not be stored."""
    try:
        value = parse_json(body, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        message = f"is no JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise _malformed(["body"], message) from error
    except UnicodeDecodeError as error:
        raise _malformed(["body"], f"is not UTF-8 from byte {error.start} on") from error
    except JsonLimitExceeded as error:
        raise Malformed(f"The request body {error}.", errors=[{"location": ["body"], "message": str(error)}]) from error
    if _MAYBE_UNSTORABLE.search(body):
        for place in _unstorable(value, ["body"]):
            raise _malformed(place, "holds NUL or half of a character pair, which cannot be stored")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _malformed(["body", _UNSTORABLE.sub("?", twice)], "is there twice")
    return read


def _no_constant(name: str) -> None:
    raise _malformed(["body"], f"holds {name}, which is no JSON")


def _unstorable(value: Any, place: list[str | int]) -> Iterator[list[str | int]]:
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            yield place
    elif isinstance(value, dict):
        for name, held in value.items():
            if _UNSTORABLE.search(name):
                yield place
            yield from _unstorable(held, [*place, name])
    elif isinstance(value, list):
        for index, held in enumerate(value):
            yield from _unstorable(held, [*place, index])


def _require_storable_query(request: Request) -> None:
    for name, value in request.query_params.multi_items():
        if _UNSTORABLE.search(name + value):
            raise _malformed(["query", _UNSTORABLE.sub("?", name)], "holds NUL, which cannot be stored")


def _malformed(place: Sequence[str | int], message: str) -> Malformed:
    problem = {"location": list(place), "message": message}
    return Malformed(f"The input cannot be understood: {'.'.join(map(str, place))}: {message}.", errors=[problem])
