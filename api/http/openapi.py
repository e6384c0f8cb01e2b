"""The OpenAPI document: the routes as FastAPI describes them, and what is common to all of them."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.http.errors import PROBLEM_JSON, Problem, problem_answer

IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "1 to 255 visible ASCII characters of your choice. A repeated request with the same key within 24 "
    "hours gets the first response and `Idempotency-Replayed: true`, and changes nothing; another request gets 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
}
RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def install(app: FastAPI) -> None:
    """Serve the document at /openapi.json."""
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, summary=app.summary, description=app.description, routes=app.routes
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs", {}), Problem=problem)
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for schema in schemas.values():
            _describe_defaults(schema)
        for path in document["paths"].values():
            for method, operation in path.items():
                _complete(method, operation)
        app.openapi_schema = document
    return app.openapi_schema


def _describe_defaults(schema: dict[str, Any]) -> None:
    """Move defaults into descriptions, because client generators treat a field with `default` as always present."""
    for field in schema.get("properties", {}).values():
        if (default := field.pop("default", None)) is not None:
            sentence = f"By default {json.dumps(default)}."
            field["description"] = f"{field['description']} {sentence}" if "description" in field else sentence


def _complete(method: str, operation: dict[str, Any]) -> None:
    """Add the parameters and responses that are common to all operations of a kind."""
    described = operation["responses"]
    common = [422, 503]
    if operation.get("security"):
        common += [401, 429]
        if method == "post":
            operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
            common.append(409)
    if "requestBody" in operation:
        common += [413, 415]
    for status in common:
        declared = described.get(str(status), {})
        if PROBLEM_JSON not in declared.get("content", {}):
            described[str(status)] = problem_answer(status)
    for status_code in {"429", "503"} & set(described):
        described[status_code]["headers"] = RETRY_AFTER
    operation["responses"] = dict(sorted(described.items()))
