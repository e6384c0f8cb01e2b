import uuid
from collections.abc import Iterator

import anyio.to_thread
import pytest
from pydantic import SecretStr

from ai.settings import AiSettings
from api.http.resources import Services
from api.outreach.drafts.service import compute_similarity
from tests.ai.langfuse_receiver import LangfuseReceiver, run_receiver
from tests.api.inbox.replies.test_replies import reply
from tests.api.sending_workspace import Outreach


@pytest.fixture
def langfuse() -> Iterator[LangfuseReceiver]:
    """Run a project of Langfuse that only this test writes to."""
    with run_receiver(f"pk-{uuid.uuid4()}") as receiver:
        yield receiver


@pytest.fixture
def ai_settings(langfuse: LangfuseReceiver) -> AiSettings:
    """Trace every run, without any model."""
    return AiSettings(
        openai_api_key=None,
        langfuse_public_key=langfuse.public_key,
        langfuse_secret_key=SecretStr(langfuse.secret_key),
        langfuse_base_url=langfuse.url,
    )


async def drafts(outreach: Outreach, *emails: str) -> list[dict[str, str]]:
    """Have drafts for new leads written that wait for review; returns id and trace of each, first lead first."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, *[await outreach.add_lead(email) for email in emails])
    found = (await outreach.get("/drafts"))["items"]
    assert all(one["generation"]["traceUrl"].endswith(one["generation"]["traceId"]) for one in found)
    return [{"id": one["id"], "trace": one["generation"]["traceId"]} for one in reversed(found)]


async def scored(outreach: Outreach, services: Services, langfuse: LangfuseReceiver) -> dict[tuple[str, str], float]:
    """Let everything happen and arrive; returns the value of each score by trace and name."""
    await outreach.run_jobs()
    await anyio.to_thread.run_sync(services.tracing.close)
    return {(score["traceId"], score["name"]): score["value"] for score in langfuse.scores.values()}


@pytest.mark.anyio
async def test_what_reviewers_do_scores_the_trace(
    outreach: Outreach, services: Services, langfuse: LangfuseReceiver
) -> None:
    """Approved as written, edited twice and approved, rejected with a reason: each is a score of its draft's trace."""
    taken, edited, refused = await drafts(outreach, "a@lead.example", "b@lead.example", "c@lead.example")
    await outreach.post(f"/drafts/{taken['id']}/approve")
    for body in ("Quite another text.", "Hello Thandi, how are you doing?"):
        response = await outreach.client.patch(f"{outreach.path}/drafts/{edited['id']}", json={"body": body})
        assert response.json()["written"] == {"subject": "One", "body": "Hello Thandi, how are you?"}
    await outreach.post("/drafts/approve", {"draftIds": [edited["id"]]})
    await outreach.post(f"/drafts/{refused['id']}/reject", {"reason": "wrong tone"})

    scores = await scored(outreach, services, langfuse)

    alike = scores.pop((edited["trace"], "edit_similarity"))
    assert 0.5 < alike < 1
    assert scores == {
        (taken["trace"], "approved"): 1,
        (taken["trace"], "edit_similarity"): 1,
        (edited["trace"], "approved"): 1,
        (refused["trace"], "approved"): 0,
    }
    (comment,) = [score["comment"] for score in langfuse.scores.values() if score.get("comment")]
    assert comment == "wrong tone"


@pytest.mark.anyio
async def test_a_draft_written_again_begins_anew(
    outreach: Outreach, services: Services, langfuse: LangfuseReceiver
) -> None:
    """What was edited before is forgotten with the text it belonged to; the new text has a trace of its own."""
    (first,) = await drafts(outreach, "a@lead.example")
    await outreach.client.patch(f"{outreach.path}/drafts/{first['id']}", json={"body": "Quite another text."})
    await outreach.run_jobs()
    await outreach.post(f"/drafts/{first['id']}/regenerate")
    await outreach.run_jobs()
    again = await outreach.get(f"/drafts/{first['id']}")
    assert (again["written"], again["generation"]["traceId"] == first["trace"]) == (None, False)

    await outreach.post(f"/drafts/{first['id']}/approve")

    scores = await scored(outreach, services, langfuse)
    assert scores[again["generation"]["traceId"], "edit_similarity"] == 1
    assert scores[first["trace"], "edit_similarity"] < 0.5


@pytest.mark.anyio
async def test_a_correction_scores_the_reading(
    outreach: Outreach, services: Services, langfuse: LangfuseReceiver
) -> None:
    """Whether a person found a reply's label right is a score of the trace of the run that gave it."""
    _, mail = await outreach.send_one()
    await reply(outreach, mail, "Sounds good, tell me more!")
    (read,) = (await outreach.get("/replies"))["items"]

    await outreach.post(f"/replies/{read['id']}/correct", {"intent": "not_now"})

    assert (await scored(outreach, services, langfuse))[read["generation"]["traceId"], "right"] == 0


def test_similarity_is_of_words_in_order() -> None:
    """Equal texts are 1, texts without a common word 0, and a word more or less in ten costs little."""
    ten = "one two three four five six seven eight nine ten"
    assert compute_similarity(ten, f" {ten}\n") == 1
    assert compute_similarity(ten, "eleven twelve") == 0
    assert 0.9 < compute_similarity(ten, ten.replace("five ", "")) < 1
    assert compute_similarity("a b", "b a") == 0.5
