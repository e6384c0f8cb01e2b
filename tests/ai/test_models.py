import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from pydantic import BaseModel

from ai.errors import ModelUnavailable
from ai.models import Attempts, ModelAccess, ModelAnswer, create_model_access
from ai.settings import AiSettings
from ai.usage import Usage
from tests.ai.stub_openai import Reply, StubOpenAI

pytestmark = pytest.mark.anyio


class Colour(BaseModel):
    """An answer format."""

    name: str


@pytest.fixture
async def chat(settings: AiSettings) -> AsyncIterator[ModelAccess]:
    """Access to a server that has only chat completions."""
    access = ModelAccess(settings.model_copy(update={"openai_api": "chat"}))
    yield access
    await access.close()


async def ask(models: ModelAccess) -> str:
    """Ask for a colour, check the usage of the answer, and return the colour."""
    answer = await models.ask("csv_mapping", instructions="Name a colour.", data="<data>{}</data>", answer=Colour)
    assert answer.usage == Usage("small-model", 100, 20, 0.0003)
    return answer.parsed.name


async def test_a_model_answers_in_the_requested_format(stub: StubOpenAI, models: ModelAccess) -> None:
    """The request separates instructions and data, and has a strict schema and no storage; the answer has a cost."""
    stub.set_replies(Reply({"name": "blue"}))
    assert await ask(models) == "blue"
    request = stub.requests[0]
    assert stub.paths == ["/v1/responses"]
    assert (request["instructions"], request["input"]) == ("Name a colour.", "<data>{}</data>")
    assert request["max_output_tokens"] == 4_000
    assert request["store"] is False
    assert request["text"]["format"]["type"] == "json_schema"
    assert request["text"]["format"]["strict"] is True


async def test_chat_completions_are_supported(stub: StubOpenAI, chat: ModelAccess) -> None:
    """Chat completions get the same request and schema, without parameters that only OpenAI's server knows."""
    stub.set_replies(Reply({"name": "blue"}))
    assert await ask(chat) == "blue"
    request = stub.requests[0]
    assert stub.paths == ["/v1/chat/completions"]
    assert request["messages"] == [
        {"role": "system", "content": "Name a colour."},
        {"role": "user", "content": "<data>{}</data>"},
    ]
    assert request["response_format"]["json_schema"]["strict"] is True
    assert request["max_tokens"] == 4_000
    assert set(request) - {"messages", "response_format", "max_tokens", "model"} <= {"stream"}


@pytest.mark.parametrize("interface", ["responses", "chat"])
@pytest.mark.parametrize(
    ("reply", "sentence", "tokens"),
    [
        (Reply({"name": "blue"}, kind="invalid_json"), "an unexpected format", 120),
        (Reply({"colour": "blue"}), "an unexpected format", 120),
        (Reply("blue"), "an unexpected format", 120),
        (Reply({"name": "blue"}, kind="incomplete"), "cut off", 120),
        (Reply({"name": "blue"}, kind="filtered"), "declined", 120),
        (Reply({"name": "b" * 200_000}), "longer than allowed", 120),
        (Reply(kind="refusal"), "declined", 120),
        (Reply(kind="no_output"), "declined|an unexpected format", 120),
        (Reply({"colour": "blue"}, kind="no_usage"), "an unexpected format", 0),
        (Reply({"colour": "blue"}, kind="strange_usage"), "an unexpected format", 0),
        (Reply(kind="empty"), "an unexpected format", 0),
        (Reply(kind="page"), "an unexpected format", 0),
        (Reply(kind="list"), "an unexpected format", 0),
        (Reply(kind="deep"), "an unexpected format", 0),
        (Reply(kind="rate_limited", retry_after="0"), "429", 0),
        (Reply(kind="rate_limited"), "429", 0),
        (Reply(kind="server_error"), "500", 0),
        (Reply(kind="unauthorised"), "401. Check OPENAI_API_KEY", 0),
        (Reply(kind="silent"), "in time", 0),
        (Reply(kind="cut"), "reached", 0),
        (Reply(kind="redirected_forever"), "reached|307", 0),
    ],
    ids=lambda value: value.kind if isinstance(value, Reply) else "",
)
async def test_every_failure_of_the_server_is_the_same_error(
    stub: StubOpenAI, settings: AiSettings, interface: str, reply: Reply, sentence: str, tokens: int
) -> None:
    """Each failure of the server raises ModelUnavailable with the reason and the reported usage."""
    models = ModelAccess(settings.model_copy(update={"openai_api": interface}))
    stub.set_replies(reply)
    with pytest.raises(ModelUnavailable, match=sentence) as raised:
        await ask(models)
    assert raised.value.usage.tokens == tokens
    if reply.kind != "redirected_forever":
        # One retry is set: temporary failures are retried, and others are not.
        assert len(stub.requests) == (2 if reply.kind in {"rate_limited", "server_error", "silent", "cut"} else 1)
    await models.close()


@pytest.mark.parametrize("interface", ["responses", "chat"])
@pytest.mark.parametrize(
    ("reply", "unknown"),
    [
        (Reply({"name": "blue"}), 0),
        (Reply({"name": "blue"}, kind="no_usage"), 1),
        (Reply(kind="empty"), 1),
        (Reply(kind="rate_limited", retry_after="0"), 0),
        (Reply(kind="unauthorised"), 0),
        (Reply(kind="server_error"), 2),
        (Reply(kind="silent"), 2),
        (Reply(kind="cut"), 2),
    ],
    ids=lambda value: value.kind if isinstance(value, Reply) else "",
)
async def test_requests_whose_usage_is_unknown_are_counted(
    stub: StubOpenAI, settings: AiSettings, interface: str, reply: Reply, unknown: int
) -> None:
    """A request that reached the server counts as unknown, unless it was refused or its usage was reported."""
    models, attempts = ModelAccess(settings.model_copy(update={"openai_api": interface})), Attempts()
    stub.set_replies(reply)
    with contextlib.suppress(ModelUnavailable):
        await models.ask("csv_mapping", instructions="Name a colour.", data="", answer=Colour, attempts=attempts)
    assert attempts.unknown == unknown
    await models.close()


async def test_a_server_that_is_not_there_uses_nothing(settings: AiSettings) -> None:
    """A server that cannot be connected to used no tokens, however often it was tried."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        models, attempts = ModelAccess(settings.model_copy(update={"openai_base_url": url})), Attempts()
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            await models.ask("csv_mapping", instructions="", data="", answer=Colour, attempts=attempts)
    assert attempts == Attempts()
    await models.close()


async def test_a_cancelled_request_is_unknown(stub: StubOpenAI, settings: AiSettings) -> None:
    """A call that is cancelled while it waits for the answer has used an unknown number of tokens."""
    models, attempts = ModelAccess(settings.model_copy(update={"openai_timeout_seconds": 30.0})), Attempts()
    stub.set_replies(Reply(kind="silent"))
    call = asyncio.create_task(models.ask("csv_mapping", instructions="", data="", answer=Colour, attempts=attempts))
    async with asyncio.timeout(20):
        while not stub.requests:  # noqa: ASYNC110 - the stub has no event
            await asyncio.sleep(0.01)
    call.cancel()
    await asyncio.wait([call])
    assert (call.cancelled(), attempts.unknown) == (True, 1)
    await models.close()


async def test_a_failed_response_is_an_error(stub: StubOpenAI, models: ModelAccess) -> None:
    """A response with the status failed is an error and not a refusal."""
    stub.set_replies(Reply(kind="failed"))
    with pytest.raises(ModelUnavailable, match="failed to answer"):
        await ask(models)


async def test_a_server_without_responses_needs_a_setting(
    stub: StubOpenAI, models: ModelAccess, chat: ModelAccess
) -> None:
    """The error for a server without the Responses API names the setting; with chat completions it does not."""
    stub.set_replies(Reply(kind="not_found"))
    with pytest.raises(ModelUnavailable, match=r"404\. .*OPENAI_API=chat"):
        await ask(models)
    with pytest.raises(ModelUnavailable, match=r"404\.$"):
        await ask(chat)


@pytest.mark.parametrize("kind", ["no_usage", "strange_usage"])
async def test_an_answer_without_usage_is_used(
    stub: StubOpenAI, models: ModelAccess, kind: Literal["no_usage", "strange_usage"]
) -> None:
    """The answer of a server with missing or implausible token counts is used."""
    stub.set_replies(Reply({"name": "blue"}, kind=kind))
    answer = await models.ask("csv_mapping", instructions="Name a colour.", data="", answer=Colour)
    assert answer == ModelAnswer(Colour(name="blue"), Usage("small-model"))


async def test_a_redirect_is_followed(stub: StubOpenAI, models: ModelAccess) -> None:
    """A redirect that keeps the method is followed."""
    stub.set_replies(Reply({"name": "blue"}, kind="redirected"))
    assert await ask(models) == "blue"
    assert stub.paths == ["/v1/responses", "/v1/responses/elsewhere"]


async def test_a_rate_limited_call_is_retried(stub: StubOpenAI, models: ModelAccess) -> None:
    """A 429 is retried, and the answer is used."""
    stub.set_replies(Reply(kind="rate_limited", retry_after="0"), Reply({"name": "green"}))
    assert await ask(models) == "green"
    assert len(stub.requests) == 2


async def test_a_long_retry_after_is_limited_by_the_deadline(stub: StubOpenAI, settings: AiSettings) -> None:
    """The deadline includes the pauses between attempts, so a long Retry-After raises an error."""
    models = ModelAccess(settings.model_copy(update={"openai_deadline_seconds": 0.5}))
    stub.set_replies(Reply(kind="rate_limited", retry_after="30"))
    with pytest.raises(ModelUnavailable, match="in time"):
        await ask(models)
    assert len(stub.requests) == 1
    await models.close()


async def test_an_unreachable_server_is_an_error(settings: AiSettings) -> None:
    """An unreachable server raises ModelUnavailable."""
    models = ModelAccess(settings.model_copy(update={"openai_base_url": "http://127.0.0.1:9/v1"}))
    with pytest.raises(ModelUnavailable, match="reached"):
        await ask(models)
    await models.close()


async def test_concurrent_calls_are_limited(stub: StubOpenAI, settings: AiSettings) -> None:
    """With a concurrency of two, the server gets at most two of six calls at a time."""
    release, lock = threading.Event(), threading.Lock()
    active, max_active = 0, 0

    def wait(_: dict[str, object]) -> Reply:
        nonlocal active, max_active
        with lock:
            active += 1
            max_active = max(max_active, active)
        release.wait(5)
        with lock:
            active -= 1
        return Reply({"name": "red"})

    stub.answerer = wait
    models = ModelAccess(settings.model_copy(update={"openai_concurrency": 2, "openai_timeout_seconds": 5}))
    answers = asyncio.gather(*(ask(models) for _ in range(6)))
    deadline = time.monotonic() + 5
    while active < 2 and time.monotonic() < deadline:  # noqa: ASYNC110 - the server's threads set no event of this loop
        await asyncio.sleep(0.005)
    release.set()
    assert await answers == ["red"] * 6
    assert max_active == 2
    await models.close()


def test_without_a_key_there_is_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key or with an empty one there is no model; a workflow may have its own model."""
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert create_model_access(AiSettings()) is None
    settings = AiSettings(openai_model="general", openai_model_csv_mapping="own")
    assert (settings.model_for("csv_mapping"), settings.model_for("email_generation")) == ("own", "general")


def test_usage_is_added() -> None:
    """Tokens and known costs add up; one unknown cost makes the sum unknown."""
    known, unknown = Usage("m", 1, 2, 0.5), Usage("m", 1, 2, None)
    assert Usage() + known == known
    assert known + known == Usage("m", 2, 4, 1.0)
    assert (known + unknown).cost is None
    assert (unknown + known).cost is None
