"""How often a model is asked, what of its answer is believed, and what it counts for, at each bound."""

import json

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from ai.errors import ModelUnavailable
from ai.models import MOST_AROUND, MOST_BYTES_PER_TOKEN, ModelAccess, _require_short, _Useless
from ai.settings import AiSettings, Price
from ai.usage import Usage
from tests.ai.stub_openai import Reply, StubOpenAI


class Colour(BaseModel):
    """A form to answer in."""

    name: str


def access(**changes: object) -> ModelAccess:
    """Access to models that are not asked."""
    return ModelAccess(AiSettings(openai_api_key=SecretStr("k"), openai_model="m").model_copy(update=changes))


@pytest.mark.anyio
@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_a_passing_fault_is_retried_as_often_as_set(stub: StubOpenAI, settings: AiSettings, retries: int) -> None:
    """The model is asked once and as often again as retries are set; an answer to the last attempt is used."""
    models = ModelAccess(settings.model_copy(update={"openai_max_retries": retries}))
    fault = Reply(kind="rate_limited", retry_after="0")
    stub.will(fault)
    with pytest.raises(ModelUnavailable):
        await models.ask("csv_mapping", instructions="", data="", answer=Colour)
    assert len(stub.requests) == 1 + retries
    stub.will(*[fault] * retries, Reply({"name": "blue"}))
    answer = await models.ask("csv_mapping", instructions="", data="", answer=Colour)
    assert (answer.parsed.name, len(stub.requests)) == ("blue", 1 + retries)
    await models.close()


MOST = 100_000_000


@pytest.mark.parametrize(
    ("tokens", "counted"),
    [(0, True), (1, True), (MOST - 1, True), (MOST, False), (-1, False), ("7", True), (None, False), ([], False)],
)
@pytest.mark.parametrize("names", [("input_tokens", "output_tokens"), ("prompt_tokens", "completion_tokens")])
def test_counts_are_believed_below_a_hundred_million(tokens: object, counted: bool, names: tuple[str, str]) -> None:
    """Of either interface, 0 to 99,999,999 tokens each way are stored; a count beyond that makes both unknown."""
    models = access(openai_prices={"m": Price(input=2.0, output=8.0)})
    for told in ((tokens, 5), (5, tokens)):
        usage = models._usage({"usage": dict(zip(names, told, strict=True))}, "m")
        if not counted:
            assert usage == Usage("m")
            continue
        tokens_in, tokens_out = (int(str(one)) for one in told)
        assert (usage.tokens_in, usage.tokens_out) == (tokens_in, tokens_out)
        assert usage.cost == pytest.approx((tokens_in * 2.0 + tokens_out * 8.0) / 1_000_000)


@pytest.mark.parametrize("body", [{}, {"usage": None}, {"usage": {}}, {"usage": {"input_tokens": 1}}, [], "x"])
def test_an_answer_without_counts_took_an_unknown_amount(body: object) -> None:
    """Where a body counts nothing, or one way alone, nothing is counted."""
    assert access()._usage(body, "m") == Usage("m")


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_an_answer_is_read_up_to_its_length(over: int) -> None:
    """A body as long as its tokens may be is read, one byte more is not."""
    content = b"x" * (MOST_AROUND + 16 * MOST_BYTES_PER_TOKEN + over)
    if over <= 0:
        _require_short(content, 16, "m")
        return
    with pytest.raises(_Useless, match="greater length"):
        _require_short(content, 16, "m")


@pytest.mark.parametrize(("characters", "tokens"), [(0, 100), (2, 100), (3, 101), (5, 101), (6, 102)])
def test_a_question_is_reckoned_at_three_characters_a_token(characters: int, tokens: int) -> None:
    """Instructions and data together count a token for each three characters, and the answer its whole allowance."""
    models = access(openai_max_output_tokens=100)
    assert models.most_tokens("i" * (characters // 2), "d" * (characters - characters // 2)) == tokens


def test_a_sum_knows_its_cost_if_each_part_with_tokens_does() -> None:
    """A part that took nothing makes no sum unknown; one that took tokens at an unknown price does."""
    priced, free, unknown = Usage("m", 1, 2, 0.5), Usage("n", 0, 0, None), Usage("n", 0, 1, None)
    assert priced + free == Usage("n", 1, 2, 0.5)
    assert free + priced == Usage("m", 1, 2, 0.5)
    assert (priced + unknown) == Usage("n", 1, 3, None)
    assert Usage() + Usage() == Usage()
    assert priced + Usage() == priced
    assert priced.tokens == 3


@pytest.mark.parametrize(
    ("setting", "refused", "taken"),
    [
        ("openai_timeout_seconds", [0, -1], [0.001]),
        ("openai_deadline_seconds", [0, -1], [0.001]),
        ("openai_max_retries", [-1, 11], [0, 10]),
        ("openai_max_output_tokens", [15, 0], [16, 17]),
        ("openai_concurrency", [0, -1], [1, 2]),
        ("langfuse_timeout_seconds", [0, -1], [1, 2]),
    ],
)
def test_settings_have_bounds(setting: str, refused: list[float], taken: list[float]) -> None:
    """The last value that can be used is taken, the next is refused."""
    for value in taken:
        assert getattr(AiSettings.model_validate({setting: value}), setting) == value
    for value in refused:
        with pytest.raises(ValidationError):
            AiSettings.model_validate({setting: value})


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        ("length", "middle"),
        ("max_output_tokens", "middle"),
        ("incomplete", "middle"),
        ("content_filter", "declined"),
        ("failed", "failed"),
        ("cancelled", "failed"),
    ],
)
@pytest.mark.parametrize("interface", ["chat", "responses"])
def test_each_ending_that_is_no_answer_is_told(ending: str, sentence: str, interface: str) -> None:
    """Whatever either interface says of an answer that is none, it is told, although there is something to read."""
    from ai.models import _parsed  # noqa: PLC0415 - used here alone

    bodies = {
        "chat": {"choices": [{"finish_reason": ending}]},
        "responses": {"status": "incomplete", "incomplete_details": {"reason": ending}},
    }
    with pytest.raises(_Useless, match=sentence):
        _parsed(json.loads(json.dumps(bodies[interface])), lambda: Colour(name="blue"), "m")
    for usable in ({"choices": [{"finish_reason": "stop"}]}, {"status": "completed"}, {}):
        assert _parsed(usable, lambda: Colour(name="blue"), "m").name == "blue"
    with pytest.raises(_Useless, match="declined"):
        _parsed({"status": "completed"}, lambda: None, "m")
