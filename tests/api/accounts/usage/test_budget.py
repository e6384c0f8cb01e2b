import pytest

from tests.ai.stub_openai import Reply, StubOpenAI
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio


async def write_drafts(outreach: Outreach, number: int) -> list[dict[str, object]]:
    """Have drafts for so many leads written, and return them."""
    sequence_id = await outreach.add_sequence("Hello", auto_approve=False)
    leads = [await outreach.add_lead(f"thandi{one}@lead.example") for one in range(number)]
    await outreach.enroll(sequence_id, *leads)
    drafts: list[dict[str, object]] = (await outreach.get("/drafts"))["items"]
    return drafts


async def test_a_draft_tells_what_it_took(outreach: Outreach) -> None:
    """Model, prompt, tokens and cost stand at the draft, and the day's row is their sum."""
    drafts = await write_drafts(outreach, 3)
    assert [draft["generation"] for draft in drafts] == [
        {
            "model": "small-model",
            "promptName": "email_generation/write",
            "promptVersion": 2,
            "traceId": None,
            "traceUrl": None,
            "tokensIn": 100,
            "tokensOut": 20,
            "cost": 0.0003,
            "fallbackReason": None,
        }
    ] * 3
    (row,) = (await outreach.get("/ai/usage"))["days"]
    assert (row["requests"], row["answered"], row["tokensIn"], row["tokensOut"], row["cost"]) == (3, 3, 300, 60, 0.0009)


async def test_beyond_the_budget_templates_write(outreach: Outreach, stub: StubOpenAI) -> None:
    """When the day's tokens are used up the template is rendered, and the draft says why; no draft is lost."""
    response = await outreach.client.patch(outreach.path, json={"dailyTokenBudget": 0})
    assert response.status_code == 200

    drafts = await write_drafts(outreach, 2)

    assert [draft["status"] for draft in drafts] == ["drafted"] * 2
    for draft in drafts:
        generation = draft["generation"]
        assert isinstance(generation, dict)
        assert (generation["model"], generation["tokensIn"]) == (None, 0)
        assert "budget of 0 tokens" in generation["fallbackReason"]
    (row,) = (await outreach.get("/ai/usage"))["days"]
    assert (row["requests"], row["refused"]) == (0, 2)
    assert stub.requests == []


async def test_useless_answers_are_paid_for(outreach: Outreach, stub: StubOpenAI) -> None:
    """An answer in another form than agreed counts as a request, not as answered, with its tokens."""
    stub.set_replies(Reply(kind="invalid_json"))

    (draft,) = await write_drafts(outreach, 1)

    generation = draft["generation"]
    assert isinstance(generation, dict)
    assert (draft["status"], generation["model"], generation["tokensIn"]) == ("drafted", None, 100)
    (row,) = (await outreach.get("/ai/usage"))["days"]
    assert (row["requests"], row["answered"], row["tokensIn"]) == (1, 0, 100)
