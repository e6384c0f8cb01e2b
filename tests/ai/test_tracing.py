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
from ai.tracing import NO_TRACING, Tracing, tracing
from ai.usage import Usage
from ai.workflows.intent_classification.state import Intent, IntentInput, IntentOutput
from tests.ai.langfuse_receiver import LangfuseReceiver, Span, receiving
from tests.ai.stub_openai import Reply, StubOpenAI

UNCLEAR = IntentInput(text="Hmm. Well, well.", received_at="2026-11-20T09:00:00+00:00")
CLEAR = IntentInput(text="Please remove me from your list.", received_at="2026-11-20T09:00:00+00:00")
INTERESTED = Reply({"label": "interested", "confidence": 0.9})
QUEUE, BATCH = 2048, 512
"""What OpenTelemetry keeps, and takes at once, unless it is told otherwise."""


@pytest.fixture
def receiver() -> Iterator[LangfuseReceiver]:
    """A Langfuse project of the test's own: the SDK shares one client among all of a key."""
    with receiving(f"pk-lf-{uuid4()}") as opened:
        yield opened


def tracing_to(receiver: LangfuseReceiver, **settings: object) -> Tracing:
    """Tracing as a process has it whose settings name this project."""
    return tracing(
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
    opened = tracing_to(receiver, langfuse_environment="staging")
    yield opened
    opened.close()


def test_without_keys_there_is_no_tracing() -> None:
    """No keys is a no-op, scores included; one key of two is told rather than silently ignored."""
    assert tracing(AiSettings(langfuse_public_key=None, langfuse_secret_key=None)) is NO_TRACING
    NO_TRACING.score("0" * 32, "approved", True, key="1")
    with pytest.raises(TracingMisconfigured):
        tracing(AiSettings(langfuse_public_key="pk", langfuse_secret_key=None))


@pytest.mark.anyio
async def test_a_run_is_one_trace_with_a_generation_for_each_question(
    stub: StubOpenAI, models: ModelAccess, receiver: LangfuseReceiver, traces: Tracing
) -> None:
    """The run is the root, the question is its child, and says what was asked, by which prompt, and what it took."""
    stub.will(INTERESTED)
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
    assert linked_prompt(generation) == (LABEL_REPLY.name, LABEL_REPLY.version)
    assert generation.attributes["langfuse.version"] == str(LABEL_REPLY.version)
    assert generation.attributes["langfuse.observation.model.name"] == "small-model"
    assert generation.read("langfuse.observation.usage_details") == {"input": 100, "output": 20}
    assert generation.read("langfuse.observation.cost_details") == {"total": 0.0003}
    system, user = generation.read("langfuse.observation.input")
    assert system == {"role": "system", "content": LABEL_REPLY.text}
    assert "Hmm. Well, well." in user["content"]
    assert generation.read("langfuse.observation.output") == INTERESTED.answer


@pytest.mark.anyio
async def test_whose_run_it_is_stands_on_every_span(
    stub: StubOpenAI, models: ModelAccess, receiver: LangfuseReceiver, traces: Tracing
) -> None:
    """Session is the workspace, user the actor; tags, environment and the trace's name go with them."""
    stub.will(INTERESTED)
    context = RunContext("workspace-77", actor="user-88", tags=("tag-99",), models=models, tracing=traces)
    await run(INTENT_CLASSIFICATION, UNCLEAR, context=context)
    traces.close()

    assert [belongings(span) for span in receiver.spans] == [
        ("workspace-77", "user-88", ["tag-99", "intent_classification"], "staging", "intent_classification")
    ] * 2


@pytest.mark.anyio
async def test_a_run_without_a_person_has_no_user(receiver: LangfuseReceiver, traces: Tracing) -> None:
    """What a job does by itself belongs to its workspace, and to nobody."""
    await run(INTENT_CLASSIFICATION, CLEAR, context=RunContext("workspace-1", tracing=traces))
    traces.close()

    (root,) = receiver.spans
    assert belongings(root) == ("workspace-1", None, ["intent_classification"], "staging", "intent_classification")


@pytest.mark.anyio
async def test_a_failed_question_is_an_error_and_the_run_is_none(
    stub: StubOpenAI, models: ModelAccess, receiver: LangfuseReceiver, traces: Tracing
) -> None:
    """A refusal shows as an error on its generation, with its reason and its tokens; the run still has its output."""
    stub.will(Reply(kind="refusal"))
    context = RunContext("workspace-1", models=models, tracing=traces)
    result = await run(INTENT_CLASSIFICATION, UNCLEAR, context=context)
    traces.close()

    root, generation = receiver.by_name("intent_classification")[0], receiver.by_name(LABEL_REPLY.name)[0]
    assert generation.attributes["langfuse.observation.level"] == "ERROR"
    assert generation.attributes["langfuse.observation.status_message"] == result.generation.fallback_reason
    assert generation.read("langfuse.observation.usage_details") == {"input": 100, "output": 20}
    assert "langfuse.observation.level" not in root.attributes
    assert root.read("langfuse.observation.output")["abstained"] is True


def test_each_question_has_its_own_prompt(receiver: LangfuseReceiver, traces: Tracing) -> None:
    """A text that was refused and written again shows both questions under one run, each with its prompt."""
    asked = [prompts.load("email_generation", name) for name in ("write", "rewrite")]
    with traces.run_trace("email_generation", workspace_id="w", actor=None, tags=(), material=CLEAR) as trace:
        for prompt in asked:
            with trace.generation(model="small-model", prompt=prompt, data="<data>{}</data>"):
                pass
    traces.close()

    *generations, root = receiver.spans
    assert [linked_prompt(span) for span in generations] == [(prompt.name, prompt.version) for prompt in asked]
    assert {span.parent_id for span in generations} == {root.id}


@pytest.mark.anyio
async def test_runs_at_once_do_not_mix(
    stub: StubOpenAI, models: ModelAccess, receiver: LangfuseReceiver, traces: Tracing
) -> None:
    """Forty runs in one event loop, each of another workspace and person: every question is under its own run."""
    stub.answerer = lambda _: INTERESTED

    async def one(number: int) -> str | None:
        context = RunContext(f"workspace-{number}", actor=f"user-{number}", models=models, tracing=traces)
        return (await run(INTENT_CLASSIFICATION, UNCLEAR, context=context)).generation.trace_id

    ids = await asyncio.gather(*(one(number) for number in range(40)))
    traces.close()

    roots = {span.trace_id: span for span in receiver.by_name("intent_classification")}
    questions = {span.trace_id: span for span in receiver.by_name(LABEL_REPLY.name)}
    assert len(set(ids)) == 40
    assert set(roots) == set(questions) == set(ids)
    for number, trace_id in enumerate(ids):
        assert trace_id is not None
        assert questions[trace_id].parent_id == roots[trace_id].id
        for span in (roots[trace_id], questions[trace_id]):
            assert belongings(span)[:2] == (f"workspace-{number}", f"user-{number}")


def test_judgements_are_scores(receiver: LangfuseReceiver, traces: Tracing) -> None:
    """Yes and no are boolean scores, a share is a numeric one; what is said later under the same key replaces it."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    traces.score(trace_id, "approved", False, key="draft-1-approved")
    traces.score(trace_id, "kept", 0.75, key="draft-1-kept", comment="A quarter was written anew.")
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
    assert (kept["dataType"], kept["value"], kept["comment"]) == ("NUMERIC", 0.75, "A quarter was written anew.")
    assert approved["environment"] == kept["environment"] == "staging"


@pytest.mark.parametrize(("project", "page"), [("cm01", "/project/cm01/traces/"), (None, "/trace/")])
def test_a_trace_has_a_page(receiver: LangfuseReceiver, project: str | None, page: str) -> None:
    """With the project's id the link leads to the trace, else to the page that finds the project; nobody is asked."""
    receiver.hold.clear()
    traces = tracing_to(receiver, langfuse_project_id=project, langfuse_timeout_seconds=1)
    with traces.run_trace("x", workspace_id="w", actor=None, tags=(), material=CLEAR) as trace:
        assert trace.url == f"{receiver.url}{page}{trace.id}"
    receiver.hold.set()
    traces.close()


@pytest.mark.anyio
async def test_a_dead_langfuse_changes_nothing() -> None:
    """With nobody listening the run has its answer and a trace id, and nothing is raised, closing included."""
    dead = LangfuseReceiver(public_key="pk-lf-dead", url="http://127.0.0.1:9")
    traces = tracing_to(dead, langfuse_timeout_seconds=1)
    result = await run(INTENT_CLASSIFICATION, CLEAR, context=RunContext("workspace-1", tracing=traces))
    assert (result.label, bool(result.generation.trace_id)) == (Intent.UNSUBSCRIBE, True)
    with (
        pytest.raises(KeyError),
        traces.run_trace("x", workspace_id="w", actor=None, tags=(), material=CLEAR),
    ):
        raise KeyError("the work's own error")
    traces.score("not a trace", "approved", True, key="1")
    traces.close()


@pytest.fixture
def no_log() -> Iterator[None]:
    """Let nothing be logged: pytest keeps each error, its traceback, and with that the batch that failed."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("no_log")
def test_closing_does_not_wait_for_all_that_is_left(receiver: LangfuseReceiver) -> None:
    """A Langfuse that takes requests and answers none is given one time-out, not one for each batch."""
    traces = tracing_to(receiver, langfuse_timeout_seconds=1)
    receiver.hold.clear()
    trace_runs(traces, QUEUE)
    traces.close()

    assert spans_held() > BATCH


@pytest.mark.usefixtures("no_log")
def test_what_a_dead_langfuse_leaves_behind_is_bounded() -> None:
    """After 10,000 runs that nobody takes, no more spans are held than the queue and a batch on its way can hold."""
    dead = LangfuseReceiver(public_key="pk-lf-gone", url="http://127.0.0.1:9")
    traces = tracing_to(dead, langfuse_timeout_seconds=1)
    before = spans_held()
    trace_runs(traces, 10_000)

    # A batch on its way is held twice, as it was and as it is sent; one more is room for what has just begun or ended.
    assert spans_held() <= before + QUEUE + 3 * BATCH
    traces.close()


LABEL_REPLY = prompts.load("intent_classification", "label_reply")


def trace_runs(traces: Tracing, times: int) -> None:
    """Leave so many traces of a run with one question."""
    for _ in range(times):
        with (
            traces.run_trace("x", workspace_id="w", actor="a", tags=(), material=CLEAR) as trace,
            trace.generation(model="m", prompt=LABEL_REPLY, data="<data>{}</data>") as generation,
        ):
            generation.failed(str(ModelUnavailable("Nobody is there.")), Usage())


def spans_held() -> int:
    """Return how many spans the process holds in memory."""
    gc.collect()
    return sum(isinstance(one, ReadableSpan) for one in gc.get_objects())


def linked_prompt(span: Span) -> tuple[str, int]:
    """Return the prompt that Langfuse links a generation with."""
    return (
        span.attributes["langfuse.observation.prompt.name"],
        span.attributes["langfuse.observation.prompt.version"],
    )


def belongings(span: Span) -> tuple[str | None, str | None, list[str], str, str]:
    """Return whose a span is: session, user, tags, environment and the name of its trace."""
    found = span.attributes
    return (
        found.get("session.id"),
        found.get("user.id"),
        found.get("langfuse.trace.tags", []),
        found["langfuse.environment"],
        found["langfuse.trace.name"],
    )
