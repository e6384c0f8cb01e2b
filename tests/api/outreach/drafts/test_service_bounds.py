"""Bounds and decisions of the service of drafts."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from api.outreach.drafts import service
from api.outreach.drafts.service import MAX_WORDS_COMPARED, TracedDraft, compute_similarity
from database.models import EmailDraft
from tests.acting import act_alone, owner_session
from tests.two_workspaces import NOW, TwoWorkspaces

DRAFTS, JOBS = "app.email_drafts", "app.scheduled_jobs"


def test_similarity_is_exact() -> None:
    """Similarity is rounded to four digits, and common words of a long text count like all others."""
    assert compute_similarity("a b c", "a b d") == 0.6667
    assert compute_similarity("the " * 300, "the " * 300) == 1


def test_only_the_first_words_are_compared() -> None:
    """A word among the first two thousand tells two texts apart, and the one after them does not."""
    words = [f"w{number}" for number in range(2_001)]
    assert len(words) - 1 == MAX_WORDS_COMPARED
    for place, is_alike in ((len(words) - 2, False), (len(words) - 1, True)):
        changed = [*words[:place], "another", *words[place + 1 :]]
        assert (compute_similarity(" ".join(words), " ".join(changed)) == 1) is is_alike


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("values", "traced"),
    [
        ({"generation": None}, None),
        ({"generation": Jsonb({"model": "m"})}, None),
        ({"generation": Jsonb({"trace_id": "t"})}, TracedDraft("t", is_edited=False, similarity=1.0)),
        (
            {"generation": Jsonb({"trace_id": "t"}), "written": Jsonb({"subject": "Hi", "body": "one two five"})},
            TracedDraft("t", is_edited=True, similarity=0.75),
        ),
    ],
)
async def test_a_trace_is_known_by_its_draft(
    two_workspaces: TwoWorkspaces, values: dict[str, Any], traced: TracedDraft | None
) -> None:
    """A draft with a trace says whether it was edited and how alike it is; without a trace it says nothing."""
    draft_id = two_workspaces.add_draft(subject="Hi", body="one two three", **values)
    async with owner_session(two_workspaces) as session:
        assert await service.find_traced_draft(session, two_workspaces.id, draft_id) == traced
        assert await service.find_traced_draft(session, two_workspaces.id, UUID(int=1)) is None


@pytest.mark.anyio
async def test_an_edit_keeps_what_was_written_first(two_workspaces: TwoWorkspaces) -> None:
    """The text before the first edit is kept through a second one; an edit of nothing writes nothing."""
    workspaces = two_workspaces
    draft_id = workspaces.add_draft(status="drafted", subject="Hi", body="Hello")
    edits: list[dict[str, Any]] = [{}, {"subject": "One"}, {"body": "Two <b>\nlines\n\n\n\nthree"}]
    seen = []
    for values in edits:

        async def edit(session: Any, values: dict[str, Any] = values) -> None:
            await service.edit_draft(session, await session.get_one(EmailDraft, draft_id), values, NOW)

        acted = await act_alone(workspaces, edit)
        assert acted.changes.keys() <= {DRAFTS}
        seen.append(acted.after().get(DRAFTS, {}).get(str(draft_id)))
    assert seen == [
        None,
        {"subject": "One", "written": {"subject": "Hi", "body": "Hello"}},
        {"body": "Two <b>\nlines\n\n\n\nthree", "body_html": "<p>Two &lt;b&gt;<br>\nlines</p>\n<p>three</p>"},
    ]


@pytest.mark.anyio
async def test_a_send_is_tried_twenty_times(two_workspaces: TwoWorkspaces) -> None:
    """A reviewed draft gets one job at its time with twenty attempts; without drafts no job is written."""
    workspaces = two_workspaces
    draft_id = workspaces.add_draft(status="reviewed", send_at=NOW + timedelta(hours=1))
    acted = await act_alone(workspaces, lambda session: service.enqueue_sends(session, workspaces.id, [draft_id], NOW))
    (job,) = acted.after()[JOBS].values()
    facts = (job["job_type"], job["payload"], job["run_at"], job["max_attempts"])
    assert facts == ("send_email", {"draftId": str(draft_id)}, "2026-03-04T11:00:00+00:00", 20)
    nothing = await act_alone(workspaces, lambda session: service.enqueue_sends(session, workspaces.id, [], NOW))
    assert nothing.changes == {}
