import asyncio
import gc
import logging
from collections.abc import Iterator
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from pydantic import SecretStr

from ai import prompts
from ai.errors import ModelUnavailable, TracingMisconfigured
from ai.models import ModelAccess
from ai.registry import INTENT_CLASSIFICATION
from ai.run import RunContext, run
from ai.settings import AiSettings
from ai.tracing import NO_TRACING, Tracing, create_tracing
from ai.usage import Usage
from ai.workflows.intent_classification.state import Intent, IntentInput, IntentOutput
from tests.ai.langfuse_receiver import LangfuseReceiver, Span, run_receiver
from tests.ai.stub_openai import Reply, StubOpenAI

UNCLEAR = IntentInput(text="Hmm. Well, well.", received_at="2026-11-20T09:00:00+00:00")
CLEAR = IntentInput(text="Please remove me from your list.", received_at="2026-11-20T09:00:00+00:00")
INTERESTED = Reply({"label": "interested", "confidence": 0.9})
QUEUE, BATCH = 2048, 512
"""OpenTelemetry's defaults: the length of its queue, and the maximum size of a batch."""


@pytest.fixture
def receiver() -> Iterator[LangfuseReceiver]:
    """A Langfuse project for this test only, because the SDK has one client per key."""
    with run_receiver(f"pk-lf-{uuid4()}") as project:
        yield project


def trace_to(receiver: LangfuseReceiver, **settings: object) -> Tracing:
    """Return the tracing of a process with the keys of this project."""
    return create_tracing(
        AiSettings(
            langfuse_public_key=receiver.public_key,
            langfuse_secret_key=SecretStr(receiver.secret_key),
            langfuse_base_url=f"{receiver.url}/",
            **settings,  # type: ignore[arg-type]
        )
    )


@pytest.fixture
def traces(receiver: LangfuseReceiver) -> Iterator[Tracing]:
    """Tracing to the receiver."""
    tracing = trace_to(receiver, langfuse_environment="staging")
    yield tracing
    tracing.close()


def test_without_keys_there_is_no_tracing() -> None:
    """Without keys, runs and scores are not recorded; a single key is an error."""
    assert create_tracing(AiSettings(langfuse_public_key=None, langfuse_secret_key=None)) is NO_TRACING
    NO_TRACING.score("0" * 32, "approved", True, key="1")
    with pytest.raises(TracingMisconfigured):
        create_tracing(AiSettings(langfuse_public_key="pk", langfuse_secret_key=None))


@pytest.mark.anyio
async def test_a_run_is_one_trace_with_a_generation_for_each_model_call(
    stub: StubOpenAI, models: ModelAccess, receiver: LangfuseReceiver, traces: Tracing
) -> None:
    """The run is the root span; the model call is its child, with its input, prompt, usage and cost."""
    stub.set_replies(INTERESTED)
    context = RunContext("workspace-77", actor="user-88", tags=("tag-99",), models=models, tracing=traces)
    result = await run(INTENT_CLASSIFICATION, UNCLEAR, context=context)
    traces.close()

    root, generation = receiver.by_name("intent_classification")[0], receiver.by_name(LABEL_REPLY.name)[0]
    assert len(receiver.spans) == 2
    assert (root.parent_id, root.attributes["langfuse.observation.type"]) == (None, "chain")
    assert (root.trace_id, generation.trace_id) == (result.generation.trace_id, result.generation.trace_id)
    assert root.read("langfuse.observation.input") == UNCLEAR.model_dump(mode="json")
    assert IntentOutput.model_validate(root.read("langfuse.observation.output")) == result
    assert (generation.parent_id, generation.attributes["langfuse.observation.type"]) == (root.id, "generation")
    assert read_prompt_link(generation) == (LABEL_REPLY.name, LABEL_REPLY.version)
    assert generation.attributes["langfuse.version"] == str(LABEL_REPLY.version)
    assert generation.attributes["langfuse.observation.model.name"] == "small-model"
    assert generation.read("langfuse.observation.usage_details") == {"input": 100, "output": 20}
    assert generation.read("langfuse.observation.cost_details") == {"total": 0.0003}
    system, user = generation.read("langfuse.observation.input")
    assert system == {"role": "system", "content": LABEL_REPLY.text}
    assert "Hmm. Well, well." in user["content"]
    assert generation.read("langfuse.observation.output") == INTERESTED.answer


@pytest.mark.anyio
async def test_each_span_has_the_workspace_and_the_user(
    stub: StubOpenAI, models: ModelAccess, receiver: LangfuseReceiver, traces: Tracing
) -> None:
    """The session is the workspace and the user is the actor; each span also has tags, environment and trace name."""
    stub.set_replies(INTERESTED)
    context = RunContext("workspace-77", actor="user-88", tags=("tag-99",), models=models, tracing=traces)
    await run(INTENT_CLASSIFICATION, UNCLEAR, context=context)
    traces.close()

    assert [read_context(span) for span in receiver.spans] == [
        ("workspace-77", "user-88", ["tag-99", "intent_classification"], "staging", "intent_classification")
    ] * 2


@pytest.mark.anyio
async def test_a_run_without_an_actor_has_no_user(receiver: LangfuseReceiver, traces: Tracing) -> None:
    """A run of a job without an actor has only a workspace."""
    await run(INTENT_CLASSIFICATION, CLEAR, context=RunContext("workspace-1", tracing=traces))
    traces.close()

    (root,) = receiver.spans
    assert read_context(root) == ("workspace-1", None, ["intent_classification"], "staging", "intent_classification")


@pytest.mark.anyio
async def test_a_failed_model_call_is_an_error_and_its_run_is_not(
    stub: StubOpenAI, models: ModelAccess, receiver: LangfuseReceiver, traces: Tracing
) -> None:
    """A refusal is an error of its generation, with its reason and tokens; the run still has its output."""
    stub.set_replies(Reply(kind="refusal"))
    context = RunContext("workspace-1", models=models, tracing=traces)
    result = await run(INTENT_CLASSIFICATION, UNCLEAR, context=context)
    traces.close()

    root, generation = receiver.by_name("intent_classification")[0], receiver.by_name(LABEL_REPLY.name)[0]
    assert generation.attributes["langfuse.observation.level"] == "ERROR"
    assert generation.attributes["langfuse.observation.status_message"] == result.generation.fallback_reason
    assert generation.read("langfuse.observation.usage_details") == {"input": 100, "output": 20}
    assert "langfuse.observation.level" not in root.attributes
    assert root.read("langfuse.observation.output")["abstained"] is True


def test_each_model_call_has_its_own_prompt(receiver: LangfuseReceiver, traces: Tracing) -> None:
    """A run with a rejected and a rewritten text has two generations, each with its prompt."""
    used_prompts = [prompts.load("email_generation", name) for name in ("write", "rewrite")]
    with traces.run_trace("email_generation", workspace_id="w", actor=None, tags=(), material=CLEAR) as trace:
        for prompt in used_prompts:
            with trace.generation(model="small-model", prompt=prompt, data="<data>{}</data>"):
                pass
    traces.close()

    *generations, root = receiver.spans
    assert [read_prompt_link(span) for span in generations] == [
        (prompt.name, prompt.version) for prompt in used_prompts
    ]
    assert {span.parent_id for span in generations} == {root.id}


@pytest.mark.anyio
async def test_concurrent_runs_have_separate_traces(
    stub: StubOpenAI, models: ModelAccess, receiver: LangfuseReceiver, traces: Tracing
) -> None:
    """In forty concurrent runs of different workspaces and users, each generation is a child of its own run."""
    stub.answerer = lambda _: INTERESTED

    async def classify(number: int) -> str | None:
        context = RunContext(f"workspace-{number}", actor=f"user-{number}", models=models, tracing=traces)
        return (await run(INTENT_CLASSIFICATION, UNCLEAR, context=context)).generation.trace_id

    ids = await asyncio.gather(*(classify(number) for number in range(40)))
    traces.close()

    roots = {span.trace_id: span for span in receiver.by_name("intent_classification")}
    generations = {span.trace_id: span for span in receiver.by_name(LABEL_REPLY.name)}
    assert len(set(ids)) == 40
    assert set(roots) == set(generations) == set(ids)
    for number, trace_id in enumerate(ids):
        assert trace_id is not None
        assert generations[trace_id].parent_id == roots[trace_id].id
        for span in (roots[trace_id], generations[trace_id]):
            assert read_context(span)[:2] == (f"workspace-{number}", f"user-{number}")


def test_scores_are_boolean_or_numeric(receiver: LangfuseReceiver, traces: Tracing) -> None:
    """A boolean is a boolean score, and a share is a numeric one; a later score with the same key replaces it."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    traces.score(trace_id, "approved", False, key="draft-1-approved")
    traces.score(trace_id, "kept", 0.75, key="draft-1-kept", comment="A quarter was rewritten.")
    traces.score(trace_id, "approved", True, key="draft-1-approved")
    traces.close()

    assert set(receiver.scores) == {"draft-1-approved", "draft-1-kept"}
    approved, kept = receiver.scores["draft-1-approved"], receiver.scores["draft-1-kept"]
    assert (approved["traceId"], approved["name"], approved["dataType"], approved["value"]) == (
        trace_id,
        "approved",
        "BOOLEAN",
        1,
    )
    assert (kept["dataType"], kept["value"], kept["comment"]) == ("NUMERIC", 0.75, "A quarter was rewritten.")
    assert approved["environment"] == kept["environment"] == "staging"


@pytest.mark.parametrize(("project", "page"), [("cm01", "/project/cm01/traces/"), (None, "/trace/")])
def test_a_trace_has_a_page(receiver: LangfuseReceiver, project: str | None, page: str) -> None:
    """With a project id the URL is the trace's page, otherwise a page that finds the project; no request is sent."""
    receiver.respond.clear()
    traces = trace_to(receiver, langfuse_project_id=project, langfuse_timeout_seconds=1)
    with traces.run_trace("x", workspace_id="w", actor=None, tags=(), material=CLEAR) as trace:
        assert trace.url == f"{receiver.url}{page}{trace.id}"
    receiver.respond.set()
    traces.close()


@pytest.mark.anyio
async def test_an_unreachable_langfuse_does_not_affect_runs() -> None:
    """The run has its output and a trace id, and neither tracing nor closing raises an error."""
    unreachable = LangfuseReceiver(public_key="pk-lf-dead", url="http://127.0.0.1:9")
    traces = trace_to(unreachable, langfuse_timeout_seconds=1)
    result = await run(INTENT_CLASSIFICATION, CLEAR, context=RunContext("workspace-1", tracing=traces))
    assert (result.label, bool(result.generation.trace_id)) == (Intent.UNSUBSCRIBE, True)
    with (
        pytest.raises(KeyError),
        traces.run_trace("x", workspace_id="w", actor=None, tags=(), material=CLEAR),
    ):
        raise KeyError("the error of the run")
    traces.score("not a trace", "approved", True, key="1")
    traces.close()


@pytest.fixture
def logging_disabled() -> Iterator[None]:
    """Disable logging, because pytest stores each logged error with its traceback, and so the failed batch."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("logging_disabled")
def test_closing_waits_for_one_timeout(receiver: LangfuseReceiver) -> None:
    """If Langfuse does not respond, closing waits for one timeout, not for one per batch."""
    traces = trace_to(receiver, langfuse_timeout_seconds=1)
    receiver.respond.clear()
    trace_runs(traces, QUEUE)
    traces.close()

    assert count_spans() > BATCH


@pytest.mark.usefixtures("logging_disabled")
def test_an_unreachable_langfuse_uses_limited_memory() -> None:
    """After 10,000 runs, memory has at most the spans of the queue and of a batch that is being sent."""
    unreachable = LangfuseReceiver(public_key="pk-lf-gone", url="http://127.0.0.1:9")
    traces = trace_to(unreachable, langfuse_timeout_seconds=1)
    before = count_spans()
    trace_runs(traces, 10_000)

    # A batch that is being sent exists twice, as spans and as encoded data; one more batch has just begun or ended.
    assert count_spans() <= before + QUEUE + 3 * BATCH
    traces.close()


LABEL_REPLY = prompts.load("intent_classification", "label_reply")


def trace_runs(traces: Tracing, times: int) -> None:
    """Trace this number of runs with one failed model call each."""
    for _ in range(times):
        with (
            traces.run_trace("x", workspace_id="w", actor="a", tags=(), material=CLEAR) as trace,
            trace.generation(model="m", prompt=LABEL_REPLY, data="<data>{}</data>") as generation,
        ):
            generation.record_failure(str(ModelUnavailable("The model cannot be reached.")), Usage())


def count_spans() -> int:
    """Return the number of spans in the memory of the process."""
    gc.collect()
    return sum(isinstance(item, ReadableSpan) for item in gc.get_objects())


def read_prompt_link(span: Span) -> tuple[str, int]:
    """Return the name and version of the prompt to which Langfuse links a generation."""
    return (
        span.attributes["langfuse.observation.prompt.name"],
        span.attributes["langfuse.observation.prompt.version"],
    )


def read_context(span: Span) -> tuple[str | None, str | None, list[str], str, str]:
    """Return the session, user, tags, environment and trace name of a span."""
    attributes = span.attributes
    return (
        attributes.get("session.id"),
        attributes.get("user.id"),
        attributes.get("langfuse.trace.tags", []),
        attributes["langfuse.environment"],
        attributes["langfuse.trace.name"],
    )
