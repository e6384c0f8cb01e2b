import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from pydantic import BaseModel

from ai.errors import ModelUnavailable
from ai.models import ModelAccess, ModelAnswer, model_access
from ai.settings import AiSettings
from ai.usage import Usage
from tests.ai.stub_openai import Reply, StubOpenAI

pytestmark = pytest.mark.anyio


class Colour(BaseModel):
    """A form to answer in."""

    name: str


@pytest.fixture
async def chat(settings: AiSettings) -> AsyncIterator[ModelAccess]:
    """Access to a server that has chat completions alone."""
    access = ModelAccess(settings.model_copy(update={"openai_api": "chat"}))
    yield access
    await access.close()


async def ask(models: ModelAccess) -> str:
    """Ask for a colour and see that the answer was accounted for."""
    answer = await models.ask("csv_mapping", instructions="Name a colour.", data="<data>{}</data>", answer=Colour)
    assert answer.usage == Usage("small-model", 100, 20, 0.0003)
    return answer.parsed.name


async def test_asks_for_a_form_and_gets_it(stub: StubOpenAI, models: ModelAccess) -> None:
    """Instructions travel apart from data, with a strict schema, not to be stored; the answer has usage and cost."""
    stub.will(Reply({"name": "blue"}))
    assert await ask(models) == "blue"
    request = stub.requests[0]
    assert stub.paths == ["/v1/responses"]
    assert (request["instructions"], request["input"]) == ("Name a colour.", "<data>{}</data>")
    assert request["max_output_tokens"] == 4_000
    assert request["store"] is False
    assert request["text"]["format"]["type"] == "json_schema"
    assert request["text"]["format"]["strict"] is True


async def test_a_server_with_chat_alone_is_asked_there(stub: StubOpenAI, chat: ModelAccess) -> None:
    """Chat completions carry the same question in the same form, and nothing that only OpenAI's own server knows."""
    stub.will(Reply({"name": "blue"}))
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
        (Reply({"name": "blue"}, kind="invalid_json"), "another form", 120),
        (Reply({"colour": "blue"}), "another form", 120),
        (Reply("blue"), "another form", 120),
        (Reply({"name": "blue"}, kind="incomplete"), "middle", 120),
        (Reply({"name": "blue"}, kind="filtered"), "declined", 120),
        (Reply({"name": "b" * 200_000}), "greater length", 120),
        (Reply(kind="refusal"), "declined", 120),
        (Reply(kind="no_output"), "declined|another form", 120),
        (Reply({"colour": "blue"}, kind="no_usage"), "another form", 0),
        (Reply({"colour": "blue"}, kind="strange_usage"), "another form", 0),
        (Reply(kind="empty"), "another form", 0),
        (Reply(kind="page"), "another form", 0),
        (Reply(kind="list"), "another form", 0),
        (Reply(kind="deep"), "another form", 0),
        (Reply(kind="rate_limited", retry_after="0"), "429", 0),
        (Reply(kind="rate_limited"), "429", 0),
        (Reply(kind="server_error"), "500", 0),
        (Reply(kind="unauthorised"), "401: check OPENAI_API_KEY", 0),
        (Reply(kind="silent"), "in time", 0),
        (Reply(kind="cut"), "reached", 0),
        (Reply(kind="redirected_forever"), "reached|307", 0),
    ],
    ids=lambda value: value.kind if isinstance(value, Reply) else "",
)
async def test_every_misbehaviour_is_one_error(
    stub: StubOpenAI, settings: AiSettings, interface: str, reply: Reply, sentence: str, tokens: int
) -> None:
    """Whatever the server does wrong ends in ModelUnavailable that says what; what it says it took is counted."""
    models = ModelAccess(settings.model_copy(update={"openai_api": interface}))
    stub.will(reply)
    with pytest.raises(ModelUnavailable, match=sentence) as raised:
        await ask(models)
    assert raised.value.usage.tokens == tokens
    if reply.kind != "redirected_forever":
        # One retry is set: what may pass is asked for once more, what stays is not.
        assert len(stub.requests) == (2 if reply.kind in {"rate_limited", "server_error", "silent", "cut"} else 1)
    await models.close()


async def test_a_failed_response_is_told(stub: StubOpenAI, models: ModelAccess) -> None:
    """A response that the server itself calls failed is no refusal."""
    stub.will(Reply(kind="failed"))
    with pytest.raises(ModelUnavailable, match="failed at its answer"):
        await ask(models)


async def test_a_server_without_responses_is_told_what_to_set(
    stub: StubOpenAI, models: ModelAccess, chat: ModelAccess
) -> None:
    """Who points at a server that has chat completions alone learns the setting; in chat it is not the reason."""
    stub.will(Reply(kind="not_found"))
    with pytest.raises(ModelUnavailable, match=r"404: .*OPENAI_API=chat"):
        await ask(models)
    with pytest.raises(ModelUnavailable, match=r"404\.$"):
        await ask(chat)


@pytest.mark.parametrize("kind", ["no_usage", "strange_usage"])
async def test_an_answer_without_usage_is_used(
    stub: StubOpenAI, models: ModelAccess, kind: Literal["no_usage", "strange_usage"]
) -> None:
    """A server that does not count, or counts in its own way, is believed in what it says."""
    stub.will(Reply({"name": "blue"}, kind=kind))
    answer = await models.ask("csv_mapping", instructions="Name a colour.", data="", answer=Colour)
    assert answer == ModelAnswer(Colour(name="blue"), Usage("small-model"))


async def test_a_moved_server_is_followed(stub: StubOpenAI, models: ModelAccess) -> None:
    """A redirect that keeps the method brings the question to where the server is now."""
    stub.will(Reply({"name": "blue"}, kind="redirected"))
    assert await ask(models) == "blue"
    assert stub.paths == ["/v1/responses", "/v1/responses/elsewhere"]


async def test_a_passing_fault_is_survived(stub: StubOpenAI, models: ModelAccess) -> None:
    """One 429 is retried and the answer is used."""
    stub.will(Reply(kind="rate_limited", retry_after="0"), Reply({"name": "green"}))
    assert await ask(models) == "green"
    assert len(stub.requests) == 2


async def test_a_long_retry_after_does_not_hold_the_work(stub: StubOpenAI, settings: AiSettings) -> None:
    """The deadline counts pauses too: a server that asks for a minute's patience is given up on."""
    models = ModelAccess(settings.model_copy(update={"openai_deadline_seconds": 0.5}))
    stub.will(Reply(kind="rate_limited", retry_after="30"))
    with pytest.raises(ModelUnavailable, match="in time"):
        await ask(models)
    assert len(stub.requests) == 1
    await models.close()


async def test_an_unreachable_server_is_told(settings: AiSettings) -> None:
    """Nobody listening is ModelUnavailable, not a crash."""
    models = ModelAccess(settings.model_copy(update={"openai_base_url": "http://127.0.0.1:9/v1"}))
    with pytest.raises(ModelUnavailable, match="reached"):
        await ask(models)
    await models.close()


async def test_no_more_than_the_set_number_at_once(stub: StubOpenAI, settings: AiSettings) -> None:
    """With two places, six questions are never more than two at a time at the server."""
    gate, lock = threading.Event(), threading.Lock()
    inside, most = 0, 0

    def hold(_: dict[str, object]) -> Reply:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        gate.wait(5)
        with lock:
            inside -= 1
        return Reply({"name": "red"})

    stub.answerer = hold
    models = ModelAccess(settings.model_copy(update={"openai_concurrency": 2, "openai_timeout_seconds": 5}))
    questions = asyncio.gather(*(ask(models) for _ in range(6)))
    deadline = time.monotonic() + 5
    while inside < 2 and time.monotonic() < deadline:  # noqa: ASYNC110 - the server's threads set no event of this loop
        await asyncio.sleep(0.005)
    gate.set()
    assert await questions == ["red"] * 6
    assert most == 2
    await models.close()


def test_no_key_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key, or with an empty one, there is no model; each workflow may have its own model."""
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert model_access(AiSettings()) is None
    own = AiSettings(openai_model="general", openai_model_csv_mapping="own")
    assert (own.model_for("csv_mapping"), own.model_for("email_generation")) == ("own", "general")


def test_usage_adds_up() -> None:
    """Tokens and known costs add up; one unknown cost makes the sum unknown."""
    known, unknown = Usage("m", 1, 2, 0.5), Usage("m", 1, 2, None)
    assert Usage() + known == known
    assert known + known == Usage("m", 2, 4, 1.0)
    assert (known + unknown).cost is None
    assert (unknown + known).cost is None
