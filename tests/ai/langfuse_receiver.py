"""A local server that speaks what Langfuse's SDK speaks (traces by OTLP, scores, prompts) and keeps what it is told."""

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
    """One observation as it arrived; `attributes` are those of OpenTelemetry, Langfuse's own under `langfuse.`."""

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
    """What has arrived; `hold` and `status` let it misbehave."""

    public_key: str = "pk-lf-test"
    secret_key: str = "sk-lf-test"
    url: str = ""
    spans: list[Span] = field(default_factory=list)
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    prompts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked_labels: list[list[str]] = field(default_factory=list)
    """The labels that each version was to have when it was made."""
    status: int | None = None
    """What every request is answered with, whatever it is; None for the proper answer."""
    body: bytes | None = None
    """The body of such an answer."""
    loses_answers: bool = False
    """Whether a prompt is made and the answer to that is a server error."""
    hold: threading.Event = field(default_factory=threading.Event)
    """While it is not set, nothing is answered."""

    def by_name(self, name: str) -> list[Span]:
        """Return the observations of a name, in the order in which they arrived."""
        return [span for span in self.spans if span.name == name]

    def labels(self, name: str) -> dict[int, list[str]]:
        """Return the labels of each version of a prompt."""
        return {version["version"]: version["labels"] for version in self.prompts.get(name, [])}

    def create_prompt(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Add the next version of a prompt, as Langfuse counts them; its labels leave the others."""
        self.asked_labels.append(wanted.get("labels") or [])
        versions = self.prompts.setdefault(wanted["name"], [])
        made = {
            "id": str(uuid.uuid4()),
            "name": wanted["name"],
            "version": len(versions) + 1,
            "type": wanted.get("type") or "text",
            "prompt": wanted["prompt"],
            "config": wanted.get("config") or {},
            "tags": wanted.get("tags") or [],
            "labels": [],
            "commitMessage": wanted.get("commitMessage"),
        }
        versions.append(made)
        self.label_prompt(wanted["name"], made["version"], [*(wanted.get("labels") or []), "latest"])
        return made

    def label_prompt(self, name: str, version: int, labels: list[str]) -> dict[str, Any]:
        """Add labels to one version of a prompt, and take them from the others."""
        for other in self.prompts[name]:
            other["labels"] = [label for label in other["labels"] if label not in labels]
        found = self.prompts[name][version - 1]
        found["labels"] += labels
        return found


@contextmanager
def receiving(public_key: str = "pk-lf-test", secret_key: str = "sk-lf-test") -> Iterator[LangfuseReceiver]:
    """Run the receiver of one project on a free port of this machine."""
    receiver = LangfuseReceiver(public_key, secret_key)
    receiver.hold.set()
    with serving(_handler_of(receiver)) as receiver.url:
        try:
            yield receiver
        finally:
            receiver.hold.set()


def _handler_of(receiver: LangfuseReceiver) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        do_PATCH = do_POST  # noqa: N815 - the base class looks for this name

        def _answer(self, body: bytes) -> None:
            receiver.hold.wait(30)
            if receiver.status is not None:
                self._send(receiver.status, receiver.body or b'{"message": "told so"}')
                return
            asked = f"{receiver.public_key}:{receiver.secret_key}".encode()
            if self.headers["Authorization"] != "Basic " + base64.b64encode(asked).decode():
                self._send(401, b'{"message": "Invalid credentials", "error": "UnauthorizedError"}')
                return
            with lock:
                status, answer = _play(receiver, self.command, self.path, self.headers.get("Content-Encoding"), body)
            self._send(status, answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Stay quiet."""

    return Handler


def _play(receiver: LangfuseReceiver, verb: str, path: str, encoding: str | None, body: bytes) -> tuple[int, object]:
    parts = urlsplit(path)
    if (verb, parts.path) == ("POST", "/api/public/otel/v1/traces"):
        receiver.spans += _spans(gzip.decompress(body) if encoding == "gzip" else body)
        return 200, b""
    if (verb, parts.path) == ("POST", "/api/public/scores"):
        for score in json.loads(body):
            receiver.scores[score["id"]] = score
        return 200, {"id": "batch"}
    if (verb, parts.path) == ("POST", PROMPTS):
        made = receiver.create_prompt(json.loads(body))
        return (503, {"message": "lost"}) if receiver.loses_answers else (201, made)
    name, _, version = parts.path.removeprefix(f"{PROMPTS}/").partition("/versions/")
    name = unquote(name)
    if verb == "PATCH" and version:
        return 200, receiver.label_prompt(name, int(version), json.loads(body)["newLabels"])
    label = parse_qs(parts.query).get("label", ["production"])[0]
    found = [prompt for prompt in receiver.prompts.get(name, []) if label in prompt["labels"]]
    if verb == "GET" and found:
        return 200, found[0]
    return 404, {"message": "Prompt not found", "error": "LangfuseNotFoundError"}


def _spans(body: bytes) -> Iterator[Span]:
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            yield from (_span(span) for span in scope.spans)


def _span(span: SpanOnTheWire) -> Span:
    attributes = {one.key: _value(one.value) for one in span.attributes}
    return Span(span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex() or None, span.name, attributes)


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None
