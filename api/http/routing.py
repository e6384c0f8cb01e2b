"""Routes that read strict JSON and store their response for an Idempotency-Key."""

import json
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response, params
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import Match
from starlette.types import Scope

from api.http.errors import MOST_FIELDS, Malformed, TooLarge, UnsupportedMediaType
from api.http.idempotency.service import Answer, IdempotencyRecord
from domain.bounded_json import JsonLimitExceeded, parse_json
from domain.storable_text import UNSTORABLE

MEGABYTE = 1024 * 1024

_MAYBE_UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])|\x00")
_PARAMETER = re.compile(r"\{\w+\}")
MAX_NAME_CHARACTERS = 60
"""How much of the name of an unknown query parameter is compared and shown."""


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
"""Ids in paths, with their OpenAPI names."""


class StoredAnswer(Exception):
    """A request with the same Idempotency-Key already has an answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("answered before")
        self.answer = answer


class StrictRequest(Request):
    """A request whose JSON has no duplicate keys and no text that cannot be stored."""

    async def json(self) -> Any:
        """Return the body; raises Malformed, which names the field."""
        if not hasattr(self, "_strict_json"):
            self._strict_json = read_json(await self.body())
        return self._strict_json


class Route(APIRoute):
    """A route that reads strict JSON and stores its response for an Idempotency-Key."""

    def require_known_query(self, request: Request) -> None:
        """Accept whatever mail programs and providers append to a URL that they were given."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler; both run inside the request's transaction."""
        handle = super().get_route_handler()
        takes_json = self.body_field is not None and not isinstance(self.body_field.field_info, params.Form)

        async def handle_strictly(request: Request) -> Response:
            _require_storable_query(request)
            self.require_known_query(request)
            strict = StrictRequest(request.scope, request.receive)
            # Parsed before FastAPI does, which would answer our errors with a bare 400.
            if takes_json and await strict.body():
                if not _is_json(request):
                    raise _not_json(request)
                await strict.json()
            try:
                response = await handle(strict)
            except StoredAnswer as stored:
                answer = stored.answer
                headers = {**answer.headers, "Idempotency-Replayed": "true"}
                return Response(answer.body, answer.status, headers)
            record: IdempotencyRecord | None = getattr(strict.state, "idempotency", None)
            if record is not None:
                await record.store(Answer(response.status_code, response.headers, bytes(response.body)))
            return response

        return handle_strictly


class ContractRoute(Route):
    """A route that refuses query parameters that it does not have."""

    @cached_property
    def query_parameters(self) -> list[str]:
        """The names of the query parameters of this route."""
        return sorted(set(_list_query_parameters(self.dependant)))

    def require_known_query(self, request: Request) -> None:
        """Raise Malformed, which names each query parameter that the route does not have."""
        known = self.query_parameters
        unknown = sorted({name for name in request.query_params if name not in known})[:MOST_FIELDS]
        if unknown:
            problems = [
                {"location": ["query", name[:MAX_NAME_CHARACTERS]], "message": _unknown_parameter(name, known)}
                for name in unknown
            ]
            raise Malformed(f"{problems[0]['message']}.", errors=problems)


class PrefixRouter(APIRouter):
    """A router that compares a path with its routes only when the path contains the router's prefix."""

    def __init__(self, prefix: str, *tags: str, route_class: type[Route] = ContractRoute) -> None:
        super().__init__(prefix=prefix, tags=list(tags), route_class=route_class)
        parts = _PARAMETER.split(prefix)
        self._under = re.compile("[^/]+".join(re.escape(part) for part in parts))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a route matches the request."""
        # Anywhere in the path, because what the service is mounted under comes before the prefix.
        return super().matches(scope) if self._under.search(scope["path"]) else (Match.NONE, {})


def create_router(prefix: str, *tags: str, route_class: type[Route] = ContractRoute) -> APIRouter:
    """Return a router for a prefix."""
    return PrefixRouter(prefix, *tags, route_class=route_class)


async def read_body(request: Request, max_megabytes: int) -> bytes:
    """Return the body of a request; raises TooLarge as soon as it is larger than `max_megabytes`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_megabytes * MEGABYTE:
            raise TooLarge(f"The request body is larger than {max_megabytes} MB.")
    return bytes(body)


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def read_json(body: bytes) -> Any:
    """Return the value of a JSON text; raises Malformed for invalid JSON, duplicate keys and unstorable text."""
    try:
        value = parse_json(body, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        message = f"The request body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise _malformed(["body"], message) from error
    except UnicodeDecodeError as error:
        raise _malformed(["body"], f"The request body is not valid UTF-8 at byte {error.start}.") from error
    except JsonLimitExceeded as error:
        raise Malformed(f"The request body {error}.", errors=[{"location": ["body"], "message": str(error)}]) from error
    if _MAYBE_UNSTORABLE.search(body):
        for place in _unstorable(value, ["body"]):
            name = ".".join(map(str, place[1:])) or "The request body"
            message = f"{name} contains a NUL character or half of a surrogate pair, which cannot be stored."
            raise _malformed(place, message)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = Counter(name for name, _ in pairs)
        duplicate = UNSTORABLE.sub("?", names.most_common(1)[0][0])
        raise _malformed(["body", duplicate], f"Duplicate key: {duplicate}.")
    return value


def _no_constant(name: str) -> None:
    raise _malformed(["body"], f"The request body contains {name}, which is not valid JSON.")


def _unstorable(value: Any, place: list[str | int]) -> Iterator[list[str | int]]:
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            yield place
    elif isinstance(value, dict):
        for name, item in value.items():
            if UNSTORABLE.search(name):
                yield place
            yield from _unstorable(item, [*place, name])
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unstorable(item, [*place, index])


def _require_storable_query(request: Request) -> None:
    for name, value in request.query_params.multi_items():
        if UNSTORABLE.search(name + value):
            parameter = UNSTORABLE.sub("?", name)
            message = f"The query parameter {parameter} contains a NUL character, which cannot be stored."
            raise _malformed(["query", parameter], message)


def _list_query_parameters(dependant: Dependant) -> Iterator[str]:
    """Yield the names of the query parameters of an endpoint and of what it depends on."""
    for parameter in dependant.query_params:
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from (field.alias or name for name, field in model.model_fields.items())
        else:
            yield parameter.alias
    for inner in dependant.dependencies:
        yield from _list_query_parameters(inner)


def _unknown_parameter(name: str, known: Sequence[str]) -> str:
    name = name[:MAX_NAME_CHARACTERS]  # the comparison takes longer than its texts are long
    close = get_close_matches(name, known, n=1)
    if close:
        hint = f"did you mean {close[0]}?"
    elif known:
        hint = f"this request takes {', '.join(known)}"
    else:
        hint = "this request takes none"
    return f"There is no query parameter {name}; {hint}"


def _not_json(request: Request) -> UnsupportedMediaType:
    given = request.headers.get("Content-Type")
    message = f"Set Content-Type to application/json{f', not {given}' if given else ''}."
    return UnsupportedMediaType(message, errors=[{"location": ["header", "Content-Type"], "message": message}])


def _malformed(place: Sequence[str | int], message: str) -> Malformed:
    return Malformed(message, errors=[{"location": list(place), "message": message}])
