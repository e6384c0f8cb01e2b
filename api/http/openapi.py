"""The contract of the service: what FastAPI derives from the routes, and what is true of every one of them."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.http.errors import PROBLEM_JSON, Problem, problem_answer

IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "1 to 255 visible ASCII characters of your choice. With the same request within 24 hours the same "
    "answer comes again (and `Idempotency-Replayed: true`) and nothing is done twice; with another request: 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
}
RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def install(app: FastAPI) -> None:
    """Have the app answer its contract at /openapi.json."""
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
            _leave_defaults_to_words(schema)
        for path in document["paths"].values():
            for method, operation in path.items():
                _complete(method, operation)
        app.openapi_schema = document
    return app.openapi_schema


def _leave_defaults_to_words(schema: dict[str, Any]) -> None:
    """Say what a field is by default in its description: generators take a field with `default` for always there."""
    for field in schema.get("properties", {}).values():
        if (default := field.pop("default", None)) is not None:
            told = f"By default {json.dumps(default)}."
            field["description"] = f"{field['description']} {told}" if "description" in field else told


def _complete(method: str, operation: dict[str, Any]) -> None:
    """Add to an operation what every one of its kind takes and answers."""
    answers = operation["responses"]
    everywhere = [422, 503]
    if operation.get("security"):
        everywhere += [401, 429]
        if method == "post":
            operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
            everywhere.append(409)
    if "requestBody" in operation:
        everywhere.append(413)
    for status in everywhere:
        declared = answers.get(str(status), {})
        if PROBLEM_JSON not in declared.get("content", {}):
            answers[str(status)] = problem_answer(status)
    for waiting in {"429", "503"} & set(answers):
        answers[waiting]["headers"] = RETRY_AFTER
    operation["responses"] = dict(sorted(answers.items()))
