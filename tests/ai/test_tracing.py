import base64
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from ai.errors import TracingMisconfigured
from ai.models import ModelAccess
from ai.registry import INTENT_CLASSIFICATION
from ai.run import RunContext, run
from ai.settings import AiSettings
from ai.tracing import NO_TRACING, tracing
from ai.workflows.intent_classification.state import Intent, IntentInput
from tests.ai.stub_openai import Reply, StubOpenAI

RECEIVED_AT = "2026-11-20T09:00:00+00:00"


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """A server that takes what Langfuse's SDK exports: its address, and (path, authorisation, body) of each post."""
    posts: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posts.append((self.path, self.headers["Authorization"], body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", posts
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_without_keys_there_is_no_tracing() -> None:
    """No keys is a no-op; one key of two is told rather than silently ignored."""
    assert tracing(AiSettings(langfuse_public_key=None, langfuse_secret_key=None)) is NO_TRACING
    with pytest.raises(TracingMisconfigured):
        tracing(AiSettings(langfuse_public_key="pk", langfuse_secret_key=None))


@pytest.mark.anyio
async def test_a_run_leaves_one_trace(
    stub: StubOpenAI, models: ModelAccess, receiver: tuple[str, list[tuple[str, str, bytes]]]
) -> None:
    """One run is exported with workspace as session, user, tags, prompt, model and usage, under our keys."""
    base_url, posts = receiver
    stub.will(Reply({"label": "interested", "confidence": 0.9}))
    traces = tracing(
        AiSettings(langfuse_public_key="pk-exported", langfuse_secret_key=SecretStr("sk"), langfuse_base_url=base_url)
    )
    context = RunContext("workspace-77", actor="user-88", tags=("tag-99",), models=models, tracing=traces)
    result = await run(
        INTENT_CLASSIFICATION, IntentInput(text="Hmm. Well, well.", received_at=RECEIVED_AT), context=context
    )
    traces.close()
    assert result.label is Intent.INTERESTED
    path, authorisation, _ = posts[0]
    assert path == "/api/public/otel/v1/traces"
    assert base64.b64decode(authorisation.removeprefix("Basic ")) == b"pk-exported:sk"
    exported = b"".join(_plain(body) for *_, body in posts)
    for piece in (b"workspace-77", b"user-88", b"tag-99", b"intent_classification/label_reply", b"small-model"):
        assert piece in exported
    assert b"langfuse.observation.usage_details" in exported


@pytest.mark.anyio
async def test_a_dead_langfuse_changes_nothing() -> None:
    """With nobody listening the run has its answer and a trace id, and nothing is raised, closing included."""
    traces = tracing(
        AiSettings(
            langfuse_public_key="pk-dead",
            langfuse_secret_key=SecretStr("sk"),
            langfuse_base_url="http://127.0.0.1:9",
            langfuse_timeout_seconds=1,
        )
    )
    context = RunContext("workspace-1", tracing=traces)
    request = IntentInput(text="Please remove me from your list.", received_at=RECEIVED_AT)
    assert (await run(INTENT_CLASSIFICATION, request, context=context)).label is Intent.UNSUBSCRIBE
    with traces.run_trace("x", workspace_id="w", actor=None, tags=(), material=request) as trace:
        assert trace.id
    with (
        pytest.raises(KeyError),
        traces.run_trace("x", workspace_id="w", actor=None, tags=(), material=request),
    ):
        raise KeyError("the work's own error")
    traces.close()


def _plain(body: bytes) -> bytes:
    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
