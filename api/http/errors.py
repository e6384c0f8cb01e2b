"""The errors of the service, as RFC 9457 problems.

ApiError
├── Unauthorized            401  no valid credential
├── Forbidden               403  the role does not allow it
├── NotFound                404  does not exist, or belongs to another tenant
│   └── WorkspaceGone       404  the workspace does not exist or was deleted
├── Conflict                409  not possible in the current state
│   ├── AlreadyExists       409  a unique value is taken
│   └── KeyReused           409  an Idempotency-Key was used for another request
├── PreconditionFailed      412  changed since the caller read it
├── TooLarge                413  larger than the limit
├── UnsupportedMediaType    415  the body has another Content-Type
├── Malformed               422  the input is invalid
│   └── HostRefused         422  a host has an address to which connections are not allowed
├── TooManyRequests         429  rate limit exceeded
└── NotAvailable            503  temporarily unavailable
    └── IssuerUnavailable   503  the token issuer does not answer
"""

import json
import logging
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.exceptions import HTTPException

from api.http import pages
from domain.errors import DomainError, InvalidTransition

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
MOST_FIELDS = 100
"""The most fields that one problem names."""
RETRY_SECONDS = 1
T = TypeVar("T")


class ApiError(Exception):
    """The request is refused; `status`, `code` and `detail` go to the caller."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(self, detail: str, *, errors: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(detail)
        self.detail, self.errors = detail, list(errors)


class Unauthorized(ApiError):
    """No valid credential came with the request."""

    status, code = 401, "unauthorized"


class Forbidden(ApiError):
    """The role of the caller does not allow this."""

    status, code = 403, "forbidden"


class NotFound(ApiError):
    """The resource does not exist, or belongs to another tenant."""

    status, code = 404, "not_found"


def or_404(row: T | None, message: str) -> T:
    """Return the row; raises NotFound with the message if there is none."""
    if row is None:
        raise NotFound(message)
    return row


class WorkspaceGone(NotFound):
    """The workspace does not exist or was deleted."""


class Conflict(ApiError):
    """The resource is not in a state that allows this."""

    status, code = 409, "conflict"


class AlreadyExists(Conflict):
    """A value that must be unique is taken."""

    code = "already_exists"


class KeyReused(Conflict):
    """The Idempotency-Key was used for another request before."""

    code = "idempotency_key_reused"


class PreconditionFailed(ApiError):
    """The resource was changed since the caller read it."""

    status, code = 412, "precondition_failed"


class TooLarge(ApiError):
    """The request is larger than the limit."""

    status, code = 413, "too_large"


class UnsupportedMediaType(ApiError):
    """The body has a Content-Type that the route does not take."""

    status, code = 415, "unsupported_media_type"


class Malformed(ApiError):
    """The input is invalid; `errors` name the fields."""

    status, code = 422, "malformed"


class HostRefused(Malformed):
    """A host has an address to which connections are not allowed."""

    code = "host_not_allowed"


class TooManyRequests(ApiError):
    """The caller has exceeded the rate limit."""

    status, code = 429, "too_many_requests"


class NotAvailable(ApiError):
    """The request cannot be served now; it may be later."""

    status, code = 503, "not_available"


class IssuerUnavailable(NotAvailable):
    """The keys of the token issuer are not known, and it does not answer."""

    code = "issuer_unavailable"


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    location: list[str | int]
    message: str


class Problem(BaseModel):
    """An RFC 9457 problem with our stable `code` and the request's id."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    requestId: str | None = None  # noqa: N815 - the wire's spelling
    errors: list[FieldProblem] = []


TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Changed in the meantime",
    413: "Too large",
    415: "Unsupported media type",
    422: "Malformed input",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available",
}


_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": str(RETRY_SECONDS)}}


def problem_response(
    request: Request, status: int, code: str, detail: str, errors: Sequence[dict[str, Any]] = ()
) -> Response:
    """Return the problem as a response; `errors` are `{location, message}` each. A page's problem is a page."""
    title = TITLES.get(status, "Error")
    if pages.is_page(request.scope):
        return HTMLResponse(pages.render_error(title, detail), status, {**pages.HEADERS, **_HEADERS.get(status, {})})
    problem = {
        "type": f"urn:salesmatter:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "requestId": getattr(request.state, "request_id", None),
        "errors": list(errors[:MOST_FIELDS]),
    }
    headers = _HEADERS.get(status)
    return Response(json.dumps(problem), status_code=status, media_type=PROBLEM_JSON, headers=headers)


def field_problems(found: Sequence[Any], value: object) -> list[dict[str, Any]]:
    """Return the errors that pydantic found in a value as `{location, message}`, without what pydantic adds."""
    return [{"location": _location(error, value), "message": _message(error)} for error in found]


def _message(error: Any) -> str:
    if error["type"] != "missing" and error["input"] is None:
        return "must not be null"
    return str(error["msg"]).removeprefix("Value error, ").rstrip(".")


def _location(error: Any, value: object) -> list[str | int]:
    """Return where in the value the error is, without the names that pydantic gives to the types of a union."""
    location: list[str | int] = []
    *_, last = error["loc"] or (None,)
    for part in error["loc"]:
        if isinstance(value, dict) and (part in value or (part == last and error["type"] == "missing")):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            continue
        location.append(part)
    return location


def responses(*errors: type[ApiError]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` of a route that answers with these errors, besides those that any route answers with."""
    return {error.status: problem_answer(error.status) for error in errors}


def problem_answer(status: int) -> dict[str, Any]:
    """Return the OpenAPI description of a problem with this status."""
    return {
        "description": TITLES[status],
        "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def install(app: FastAPI) -> None:
    """Answer every error as a problem."""

    @app.exception_handler(ApiError)
    async def _on_api_error(request: Request, error: ApiError) -> Response:
        return problem_response(request, error.status, error.code, error.detail, error.errors)

    @app.exception_handler(DomainError)
    async def _on_domain_error(request: Request, error: DomainError) -> Response:
        code = "invalid_transition" if isinstance(error, InvalidTransition) else "rule_violation"
        return problem_response(request, 409, code, str(error))

    @app.exception_handler(RequestValidationError)
    async def _on_validation_error(request: Request, error: RequestValidationError) -> Response:
        # A parameter is one text: what follows its name is a name of a type.
        sources: dict[str, Any] = {"body": error.body}
        for source, *names in (found["loc"] for found in error.errors()):
            if source != "body":
                sources.setdefault(source, {}).update(dict.fromkeys(names[:1]))
        fields = field_problems(error.errors(), sources)
        first = ".".join(str(part) for part in fields[0]["location"]) if fields else "body"
        detail = f"{first}: {fields[0]['message'] if fields else 'malformed'}."
        return problem_response(request, 422, Malformed.code, detail, fields)

    @app.exception_handler(DataError)
    async def _on_data_error(request: Request, _error: DataError) -> Response:
        # JSON can express values that Postgres cannot store: NUL in a text, a number too large for its column.
        detail = "The input contains a character or a number that cannot be stored, such as NUL."
        return problem_response(request, 422, Malformed.code, detail)

    @app.exception_handler(OperationalError)
    @app.exception_handler(NoConnectionFree)
    async def _on_database_trouble(request: Request, error: Exception) -> Response:
        # The server is unreachable or too busy, or it ended a deadlock. Nothing was written.
        log.warning("The database could not do what a request needed: %s", error)
        return problem_response(request, 503, NotAvailable.code, "The database is busy or unreachable. Try again.")

    @app.exception_handler(HTTPException)
    async def _on_http_exception(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # noqa: PLR2004 - the answer of FastAPI and Starlette to a form they cannot read
            problem = {"location": ["body"], "message": str(error.detail)}
            return problem_response(
                request, 422, Malformed.code, f"The body cannot be read: {error.detail}.", [problem]
            )
        code = TITLES.get(error.status_code, "error").lower().replace(" ", "_")
        response = problem_response(request, error.status_code, code, str(error.detail))
        response.headers.update(error.headers or {})
        return response
