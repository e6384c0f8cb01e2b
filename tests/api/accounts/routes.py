"""Every route of the service as tests walk them: what its path names, and a smallest request that it understands."""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.http.dependencies import require_admin
from api.routes import ROUTERS

TABLE_OF = {
    "campaign": "app.sequences",
    "draft": "app.email_drafts",
    "enrollment": "app.lead_enrollments",
    "event": "app.email_events",
    "import": "app.lead_imports",
    "job": "app.scheduled_jobs",
    "key": "app.api_keys",
    "lead": "app.leads",
    "list": "app.lead_lists",
    "reply": "app.replies",
    "sequence": "app.sequences",
    "step": "app.sequence_steps",
    "suppression": "app.suppressions",
    "user": "app.users",
    "workspace": "app.workspaces",
}
"""The table whose ids a path's part holds, by its name without `Id`."""
PUBLIC = {"token"}
"""Parts of a path that are credentials themselves, and no ids."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the service."""

    name: str
    method: str
    path: str
    is_for_admins: bool

    @property
    def named(self) -> dict[str, str]:
        """The parts of the path that are ids, each with the table it belongs to."""
        parts = [part for part in re.findall(r"{(\w+)}", self.path) if part not in PUBLIC]
        return {part: TABLE_OF[re.sub(r"(_id|Id)$", "", part)] for part in parts}

    def url(self, ids: Mapping[str, object]) -> str:
        """Return the path with these ids, by table."""
        return self.path.format(**{part: ids[table] for part, table in self.named.items()})

    def request(self, app: FastAPI) -> dict[str, Any]:
        """Return the smallest query and body that the contract allows."""
        document = app.openapi()
        described = document["paths"][self.path][self.method.lower()]
        query = {
            one["name"]: _smallest(one["schema"], document)
            for one in described.get("parameters", [])
            if one["in"] == "query" and one.get("required")
        }
        content = described.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            return {"params": query, "json": _smallest(content["application/json"]["schema"], document)}
        return {"params": query}


def operations() -> list[Operation]:
    """Return every operation that needs a credential or shows the caller's own data."""
    return [
        Operation(route.operation_id or route.name, method, route.path, require_admin in set(_calls(route.dependant)))
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any] | None]:
    yield dependant.call
    for one in dependant.dependencies:
        yield from _calls(one)


def _smallest(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    """Return a small value that a schema allows."""
    if "$ref" in schema:
        return _smallest(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    if choices := [one for choice in ("anyOf", "oneOf", "allOf") for one in schema.get(choice, [])]:
        return _smallest(choices[0], document)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if schema.get("type") == "object":
        return {name: _smallest(schema["properties"][name], document) for name in schema.get("required", [])}
    if schema.get("type") == "array":
        return [_smallest(schema["items"], document) for _ in range(schema.get("minItems", 0))]
    return _scalar(schema)


def _scalar(schema: dict[str, Any]) -> object:
    if schema.get("type") in {"boolean", "integer", "number"}:
        return True if schema["type"] == "boolean" else schema.get("minimum", 1)
    formats = {
        "uuid": str(uuid.uuid4()),
        "email": "a@b.example",
        "uri": "https://b.example/",
        "date": "2026-03-02",
        "date-time": "2026-03-02T10:00:00Z",
    }
    return formats.get(schema.get("format", ""), "a" * max(1, schema.get("minLength", 1)))
