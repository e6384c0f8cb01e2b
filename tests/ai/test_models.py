import asyncio
import threading
import time

import pytest
from pydantic import BaseModel

from ai.errors import ModelUnavailable
from ai.models import ModelAccess, Usage, model_access
from ai.settings import AiSettings
from tests.ai.stub_openai import Reply, StubOpenAI

pytestmark = pytest.mark.anyio


class Colour(BaseModel):
    """A form to answer in."""

    name: str


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
    assert request["instructions"] == "Name a colour."
    assert request["store"] is False
    assert request["text"]["format"]["type"] == "json_schema"
    assert request["text"]["format"]["strict"] is True


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(kind="invalid_json"), "another form"),
        (Reply({"colour": "blue"}), "another form"),
        (Reply(kind="refusal"), "declined"),
        (Reply(kind="rate_limited", retry_after="0"), "429"),
        (Reply(kind="server_error"), "500"),
        (Reply(kind="silent"), "in time"),
        (Reply(kind="cut"), "reached"),
        (Reply({"name": "blue"}, kind="incomplete"), "middle"),
    ],
)
async def test_every_misbehaviour_is_one_error(
    stub: StubOpenAI, models: ModelAccess, reply: Reply, sentence: str
) -> None:
    """Whatever the server does wrong ends in ModelUnavailable that says what, after at most the set attempts."""
    stub.will(reply)
    with pytest.raises(ModelUnavailable, match=sentence):
        await ask(models)
    assert len(stub.requests) <= 2


async def test_a_passing_fault_is_survived(stub: StubOpenAI, models: ModelAccess) -> None:
    """One 429 is retried and the answer is used."""
    stub.will(Reply(kind="rate_limited", retry_after="0"), Reply({"name": "green"}))
    assert await ask(models) == "green"


async def test_a_long_retry_after_does_not_hold_the_work(stub: StubOpenAI, settings: AiSettings) -> None:
    """The deadline counts pauses too: a server that asks for a minute's patience is given up on."""
    models = ModelAccess(settings.model_copy(update={"openai_deadline_seconds": 0.5}))
    stub.will(Reply(kind="rate_limited", retry_after="30"))
    started = time.monotonic()
    with pytest.raises(ModelUnavailable, match="in time"):
        await ask(models)
    assert time.monotonic() - started < 5
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
