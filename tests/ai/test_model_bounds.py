"""Tests the limits of retries, token counts, answer lengths and settings of model calls."""

import json

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from ai.errors import ModelUnavailable
from ai.models import MAX_BYTES_PER_TOKEN, MAX_OVERHEAD_BYTES, ModelAccess, _check_length, _UnusableAnswer
from ai.settings import AiSettings, Price
from ai.usage import Usage
from tests.ai.stub_openai import Reply, StubOpenAI


class Colour(BaseModel):
    """An answer format."""

    name: str


def access(**changes: object) -> ModelAccess:
    """Return access to models without calls."""
    return ModelAccess(AiSettings(openai_api_key=SecretStr("k"), openai_model="m").model_copy(update=changes))


@pytest.mark.anyio
@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_a_temporary_failure_is_retried_as_often_as_set(
    stub: StubOpenAI, settings: AiSettings, retries: int
) -> None:
    """The model is called once plus the set number of retries; the answer to the last attempt is used."""
    models = ModelAccess(settings.model_copy(update={"openai_max_retries": retries}))
    fault = Reply(kind="rate_limited", retry_after="0")
    stub.set_replies(fault)
    with pytest.raises(ModelUnavailable):
        await models.ask("csv_mapping", instructions="", data="", answer=Colour)
    assert len(stub.requests) == 1 + retries
    stub.set_replies(*[fault] * retries, Reply({"name": "blue"}))
    answer = await models.ask("csv_mapping", instructions="", data="", answer=Colour)
    assert (answer.parsed.name, len(stub.requests)) == ("blue", 1 + retries)
    await models.close()


LIMIT = 100_000_000


@pytest.mark.parametrize(
    ("tokens", "counted"),
    [(0, True), (1, True), (LIMIT - 1, True), (LIMIT, False), (-1, False), ("7", True), (None, False), ([], False)],
)
@pytest.mark.parametrize("names", [("input_tokens", "output_tokens"), ("prompt_tokens", "completion_tokens")])
def test_token_counts_are_plausible_below_a_hundred_million(
    tokens: object, counted: bool, names: tuple[str, str]
) -> None:
    """Counts from 0 to 99,999,999 are stored, for both APIs; any other count makes both unknown."""
    models = access(openai_prices={"m": Price(input=2.0, output=8.0)})
    for counts in ((tokens, 5), (5, tokens)):
        usage = models._read_usage({"usage": dict(zip(names, counts, strict=True))}, "m")
        if not counted:
            assert usage == Usage("m")
            continue
        tokens_in, tokens_out = (int(str(count)) for count in counts)
        assert (usage.tokens_in, usage.tokens_out) == (tokens_in, tokens_out)
        assert usage.cost == pytest.approx((tokens_in * 2.0 + tokens_out * 8.0) / 1_000_000)


@pytest.mark.parametrize("body", [{}, {"usage": None}, {"usage": {}}, {"usage": {"input_tokens": 1}}, [], "x"])
def test_missing_token_counts_are_unknown(body: object) -> None:
    """If a body lacks one of the counts, the usage is unknown."""
    assert access()._read_usage(body, "m") == Usage("m")


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_response_has_a_maximum_length(over: int) -> None:
    """A response with the maximum number of bytes for its tokens is accepted; one more byte is not."""
    content = b"x" * (MAX_OVERHEAD_BYTES + 16 * MAX_BYTES_PER_TOKEN + over)
    if over <= 0:
        _check_length(content, 16, "m")
        return
    with pytest.raises(_UnusableAnswer, match="longer than allowed"):
        _check_length(content, 16, "m")


@pytest.mark.parametrize(("characters", "tokens"), [(0, 100), (2, 100), (3, 101), (5, 101), (6, 102)])
def test_a_call_is_estimated_at_three_characters_per_token(characters: int, tokens: int) -> None:
    """The estimate is a token per three characters of instructions and data, plus the maximum output tokens."""
    models = access(openai_max_output_tokens=100)
    assert models.max_tokens("i" * (characters // 2), "d" * (characters - characters // 2)) == tokens


def test_a_sum_has_a_cost_if_each_part_with_tokens_has_one() -> None:
    """A part without tokens does not make the sum unknown; a part with tokens at an unknown price does."""
    priced, free, unknown = Usage("m", 1, 2, 0.5), Usage("n", 0, 0, None), Usage("n", 0, 1, None)
    assert priced + free == Usage("n", 1, 2, 0.5)
    assert free + priced == Usage("m", 1, 2, 0.5)
    assert (priced + unknown) == Usage("n", 1, 3, None)
    assert Usage() + Usage() == Usage()
    assert priced + Usage() == priced
    assert priced.tokens == 3


@pytest.mark.parametrize(
    ("setting", "refused", "accepted"),
    [
        ("openai_timeout_seconds", [0, -1], [0.001]),
        ("openai_deadline_seconds", [0, -1], [0.001]),
        ("openai_max_retries", [-1, 11], [0, 10]),
        ("openai_max_output_tokens", [15, 0], [16, 17]),
        ("openai_concurrency", [0, -1], [1, 2]),
        ("langfuse_timeout_seconds", [0, -1], [1, 2]),
    ],
)
def test_settings_have_bounds(setting: str, refused: list[float], accepted: list[float]) -> None:
    """The last valid value is accepted, and the next one is refused."""
    for value in accepted:
        assert getattr(AiSettings.model_validate({setting: value}), setting) == value
    for value in refused:
        with pytest.raises(ValidationError):
            AiSettings.model_validate({setting: value})


@pytest.mark.parametrize(
    ("finish_reason", "sentence"),
    [
        ("length", "cut off"),
        ("max_output_tokens", "cut off"),
        ("incomplete", "cut off"),
        ("content_filter", "declined"),
        ("failed", "failed"),
        ("cancelled", "failed"),
    ],
)
@pytest.mark.parametrize("interface", ["chat", "responses"])
def test_each_finish_reason_without_an_answer_is_an_error(finish_reason: str, sentence: str, interface: str) -> None:
    """Each finish reason without an answer is an error, for both APIs, although an answer could be parsed."""
    from ai.models import _read_answer  # noqa: PLC0415 - used only here

    bodies = {
        "chat": {"choices": [{"finish_reason": finish_reason}]},
        "responses": {"status": "incomplete", "incomplete_details": {"reason": finish_reason}},
    }
    with pytest.raises(_UnusableAnswer, match=sentence):
        _read_answer(json.loads(json.dumps(bodies[interface])), lambda: Colour(name="blue"), "m")
    for usable in ({"choices": [{"finish_reason": "stop"}]}, {"status": "completed"}, {}):
        assert _read_answer(usable, lambda: Colour(name="blue"), "m").name == "blue"
    with pytest.raises(_UnusableAnswer, match="declined"):
        _read_answer({"status": "completed"}, lambda: None, "m")
