"""A local server with the API that Langfuse's SDK uses (OTLP traces, scores, prompts); it stores what it receives."""

import base64
import gzip
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanOnTheWire

from tests.ai.threaded import serving

PROMPTS = "/api/public/v2/prompts"


@dataclass(frozen=True, slots=True)
class Span:
    """A received observation; `attributes` are those of OpenTelemetry, with Langfuse's own under `langfuse.`."""

    trace_id: str
    id: str
    parent_id: str | None
    name: str
    attributes: dict[str, Any]

    def read(self, attribute: str) -> Any:
        """Return an attribute that Langfuse's SDK writes as JSON."""
        return json.loads(self.attributes[attribute])


@dataclass
class LangfuseReceiver:
    """The received data; `respond` and `status` simulate failures."""

    public_key: str = "pk-lf-test"
    secret_key: str = "sk-lf-test"
    url: str = ""
    spans: list[Span] = field(default_factory=list)
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    prompts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    created_labels: list[list[str]] = field(default_factory=list)
    """The labels of each version in the request that created it."""
    status: int | None = None
    """The status of every response; None for the normal response."""
    body: bytes | None = None
    """The body of such a response."""
    loses_responses: bool = False
    """Whether the response to the creation of a prompt is a server error."""
    respond: threading.Event = field(default_factory=threading.Event)
    """Requests wait for a response until this event is set."""

    def by_name(self, name: str) -> list[Span]:
        """Return the observations with a name, in order of arrival."""
        return [span for span in self.spans if span.name == name]

    def labels(self, name: str) -> dict[int, list[str]]:
        """Return the labels of each version of a prompt."""
        return {version["version"]: version["labels"] for version in self.prompts.get(name, [])}

    def create_prompt(self, request: dict[str, Any]) -> dict[str, Any]:
        """Add the next version of a prompt, as Langfuse numbers them; its labels are removed from other versions."""
        self.created_labels.append(request.get("labels") or [])
        versions = self.prompts.setdefault(request["name"], [])
        version = {
            "id": str(uuid.uuid4()),
            "name": request["name"],
            "version": len(versions) + 1,
            "type": request.get("type") or "text",
            "prompt": request["prompt"],
            "config": request.get("config") or {},
            "tags": request.get("tags") or [],
            "labels": [],
            "commitMessage": request.get("commitMessage"),
        }
        versions.append(version)
        self.label_prompt(request["name"], version["version"], [*(request.get("labels") or []), "latest"])
        return version

    def label_prompt(self, name: str, version: int, labels: list[str]) -> dict[str, Any]:
        """Add labels to a version of a prompt, and remove them from other versions."""
        for other in self.prompts[name]:
            other["labels"] = [label for label in other["labels"] if label not in labels]
        labelled = self.prompts[name][version - 1]
        labelled["labels"] += labels
        return labelled


@contextmanager
def run_receiver(public_key: str = "pk-lf-test", secret_key: str = "sk-lf-test") -> Iterator[LangfuseReceiver]:
    """Run the receiver of one project on a free local port."""
    receiver = LangfuseReceiver(public_key, secret_key)
    receiver.respond.set()
    with serving(_handler_of(receiver)) as receiver.url:
        try:
            yield receiver
        finally:
            receiver.respond.set()


def _handler_of(receiver: LangfuseReceiver) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._respond(b"")

        def do_POST(self) -> None:
            self._respond(self.rfile.read(int(self.headers["Content-Length"])))

        do_PATCH = do_POST  # noqa: N815 - the base class looks for this name

        def _respond(self, body: bytes) -> None:
            receiver.respond.wait(30)
            if receiver.status is not None:
                self._send(receiver.status, receiver.body or b'{"message": "simulated error"}')
                return
            credentials = f"{receiver.public_key}:{receiver.secret_key}".encode()
            if self.headers["Authorization"] != "Basic " + base64.b64encode(credentials).decode():
                self._send(401, b'{"message": "Invalid credentials", "error": "UnauthorizedError"}')
                return
            with lock:
                status, response = _handle(
                    receiver, self.command, self.path, self.headers.get("Content-Encoding"), body
                )
            self._send(status, response if isinstance(response, bytes) else json.dumps(response).encode())

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            """Log nothing."""

    return Handler


def _handle(receiver: LangfuseReceiver, verb: str, path: str, encoding: str | None, body: bytes) -> tuple[int, object]:
    parts = urlsplit(path)
    if (verb, parts.path) == ("POST", "/api/public/otel/v1/traces"):
        receiver.spans += _spans(gzip.decompress(body) if encoding == "gzip" else body)
        return 200, b""
    if (verb, parts.path) == ("POST", "/api/public/scores"):
        for score in json.loads(body):
            receiver.scores[score["id"]] = score
        return 200, {"id": "batch"}
    if (verb, parts.path) == ("POST", PROMPTS):
        created = receiver.create_prompt(json.loads(body))
        return (503, {"message": "lost"}) if receiver.loses_responses else (201, created)
    name, _, version = parts.path.removeprefix(f"{PROMPTS}/").partition("/versions/")
    name = unquote(name)
    if verb == "PATCH" and version:
        return 200, receiver.label_prompt(name, int(version), json.loads(body)["newLabels"])
    label = parse_qs(parts.query).get("label", ["production"])[0]
    matches = [prompt for prompt in receiver.prompts.get(name, []) if label in prompt["labels"]]
    if verb == "GET" and matches:
        return 200, matches[0]
    return 404, {"message": "Prompt not found", "error": "LangfuseNotFoundError"}


def _spans(body: bytes) -> Iterator[Span]:
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            yield from (_span(span) for span in scope.spans)


def _span(span: SpanOnTheWire) -> Span:
    attributes = {attribute.key: _value(attribute.value) for attribute in span.attributes}
    return Span(span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex() or None, span.name, attributes)


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
