import httpx
import pytest

from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

EDITS: list[dict[str, str]] = [
    {"body": "Hi , how are you?"},
    {"subject": "Dear,"},
    {"body": "Hi Ann, how are you?"},
    {"subject": "Hello"},
    {"body": "Hi {{ first_name }}, how are you?"},
    {"body": "Hi Ann of www.acme.example, how are you?"},
]
LEFT_OUT = "The lead's company is left out, because it contains a link."
NO_NAME = "The lead has no first_name. Check that the mail reads well without it."
NO_GREETING = (
    "The greeting “Hi ,” has no name. Add a default to the template, such as {{ first_name | default: 'there' }}."
)


@pytest.fixture
async def draft(outreach: Outreach) -> str:
    """Have one draft written that waits for review, and return its path."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    (written,) = (await outreach.get("/drafts"))["items"]
    return f"/drafts/{written['id']}"


async def test_a_draft_says_how_it_was_written(outreach: Outreach, draft: str) -> None:
    """Without a model the template stands, rendered for the lead, and the record says so."""
    written = await outreach.get(draft)

    assert (written["status"], written["body"].strip()) == ("drafted", "Hello Thandi, how are you?")
    assert written["generation"]["model"] is None


async def test_a_draft_is_approved_once(outreach: Outreach, draft: str) -> None:
    """A second approval is a conflict, so that two reviewers cannot both send."""
    await outreach.post(f"{draft}/approve")

    response = await outreach.client.post(f"{outreach.path}{draft}/approve")

    assert response.status_code == 409
    await outreach.run_jobs()
    assert len(outreach.mails()) == 1


async def test_a_sent_draft_cannot_be_changed(outreach: Outreach, draft: str) -> None:
    """What went out stays as it was."""
    await outreach.post(f"{draft}/approve")
    await outreach.run_jobs()
    sent = await outreach.get(draft)
    assert (sent["status"], sent["subject"]) == ("sent", "One")

    edited = await outreach.client.patch(f"{outreach.path}{draft}", json={"subject": "Other"})
    again = await outreach.client.post(f"{outreach.path}{draft}/regenerate")

    assert [edited.status_code, again.status_code] == [409, 409]
    assert await outreach.get(draft) == sent


async def test_a_draft_can_be_written_again(outreach: Outreach, draft: str) -> None:
    """Regeneration takes an edited draft back to what is written from the step."""
    await outreach.client.patch(f"{outreach.path}{draft}", json={"subject": "Other"})

    await outreach.post(f"{draft}/regenerate")
    await outreach.run_jobs()

    assert ((await outreach.get(draft))["status"], (await outreach.get(draft))["subject"]) == ("drafted", "One")


async def test_an_edit_is_checked_again(outreach: Outreach) -> None:
    """The warnings of a stored draft are those of its present text, after each edit of its subject or body."""
    template = "Hi {{ first_name | default: '' }}, well?"
    step = {"subject": "Hello {{ company | default: '' }}", "bodyTemplate": template}
    sequence_id = (await outreach.post("/sequences", {"name": "Spring"})).json()["id"]
    await outreach.post(f"/sequences/{sequence_id}/steps", step)
    await outreach.post(f"/sequences/{sequence_id}/activate")
    lead_id = (await outreach.post("/leads", {"email": "n@lead.example", "company": "www.acme.example"})).json()["id"]
    await outreach.enroll(sequence_id, lead_id)
    (draft,) = (await outreach.get("/drafts", leadId=lead_id))["items"]
    assert draft["warnings"] == [LEFT_OUT, NO_NAME, NO_GREETING]
    seen = []
    for edit in EDITS:
        response = await outreach.client.patch(f"{outreach.path}/drafts/{draft['id']}", json=edit)
        seen.append((await outreach.get(f"/drafts/{draft['id']}"))["warnings"])
        assert response.json()["warnings"] == seen[-1]
    assert seen == [
        [LEFT_OUT, NO_NAME, NO_GREETING],
        [LEFT_OUT, NO_NAME, NO_GREETING.replace("Hi ,", "Dear,")],
        [LEFT_OUT, NO_NAME, NO_GREETING.replace("Hi ,", "Dear,")],
        [LEFT_OUT, NO_NAME],
        [LEFT_OUT, NO_NAME, "The body contains the placeholder “{{”, which is sent as it is."],
        [NO_NAME],
    ]


async def test_a_blank_variable_is_a_failure_with_a_reason(outreach: Outreach) -> None:
    """A lead without a first name does not get 'Hello ,': the draft fails and names the variable."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    made = await outreach.post("/leads", {"email": "nameless@lead.example"})

    await outreach.enroll(sequence_id, made.json()["id"])

    (written,) = (await outreach.get("/drafts"))["items"]
    assert written["status"] == "failed"
    assert "first_name" in written["errorReason"]


async def test_an_unknown_draft_is_not_found(app_client: httpx.AsyncClient, workspace: str) -> None:
    """An unknown id is a 404 problem."""
    response = await app_client.get(f"/api/workspaces/{workspace}/drafts/0190a2b0-0000-7000-8000-000000000000")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def approvals(outreach: Outreach, *draft_ids: str) -> dict[str, tuple[str, str | None]]:
    """Approve drafts by id and return what is said of each."""
    result = (await outreach.post("/drafts/approve", {"draftIds": list(draft_ids)})).json()
    rows = {row["draftId"]: (row["status"], row["reason"]) for row in result["results"]}
    assert result["approved"] == [draft_id for draft_id, (status, _) in rows.items() if status == "approved"]
    return rows


async def test_each_draft_is_answered_for(outreach: Outreach, draft: str) -> None:
    """Approved, not waiting, unknown: one row for each id, once."""
    unknown, draft_id = "0190a2b0-0000-7000-8000-000000000000", draft.rpartition("/")[2]

    first = await approvals(outreach, draft_id, unknown, draft_id)
    second = await approvals(outreach, draft_id)

    assert first == {draft_id: ("approved", None), unknown: ("unknown", None)}
    assert second == {draft_id: ("not_waiting", None)}


async def test_what_can_never_be_sent_is_not_approved(outreach: Outreach, draft: str) -> None:
    """A suppressed address is refused with its reason, one by one and by sequence; the draft stays as it was."""
    found = await outreach.get(draft)
    await outreach.post("/suppressions", {"domain": "lead.example"})

    rows = await approvals(outreach, found["id"])
    by_sequence = (await outreach.post("/drafts/approve", {"sequenceId": found["sequenceId"]})).json()
    alone = await outreach.client.post(f"{outreach.path}{draft}/approve")
    again = await outreach.client.post(f"{outreach.path}{draft}/regenerate")

    refused = {"draftId": found["id"], "status": "refused", "reason": "the address is suppressed"}
    assert rows == {found["id"]: ("refused", "the address is suppressed")}
    assert by_sequence == {"approved": [], "results": [refused]}
    assert [alone.status_code, again.status_code] == [409, 409]
    assert "the address is suppressed" in alone.json()["detail"]
    assert (await outreach.get(draft))["status"] == "drafted"


async def test_a_failed_draft_of_an_ended_enrollment_stays_failed(outreach: Outreach, draft: str) -> None:
    """Nothing is written for an enrollment that is over."""
    await outreach.post(f"/enrollments/{(await outreach.get(draft))['enrollmentId']}/stop")

    response = await outreach.client.post(f"{outreach.path}{draft}/regenerate")

    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert "the enrollment is completed" in response.json()["detail"]
    assert (await outreach.get(draft))["status"] == "failed"


async def test_an_edit_is_made_to_what_was_seen(outreach: Outreach, draft: str) -> None:
    """Of two reviewers who read the same draft, the second is told that it was changed, and nothing is lost."""
    url = f"{outreach.path}{draft}"
    seen = {"If-Match": (await outreach.client.get(url)).headers["ETag"]}

    first = await outreach.client.patch(url, json={"subject": "Mine"}, headers=seen)
    second = await outreach.client.patch(url, json={"subject": "Yours"}, headers=seen)
    informed = await outreach.client.patch(url, json={"body": "Hi"}, headers={"If-Match": first.headers["ETag"]})

    assert [first.status_code, second.status_code, informed.status_code] == [200, 412, 200]
    assert ((await outreach.get(draft))["subject"], (await outreach.get(draft))["body"]) == ("Mine", "Hi")


@pytest.mark.parametrize("change", [{"subject": "a\nBcc: b"}, {"subject": "  "}, {"body": " "}, {"subject": None}])
async def test_a_draft_keeps_something_to_say(outreach: Outreach, draft: str, change: dict[str, str | None]) -> None:
    """A subject is one line, and neither part can be emptied."""
    before = await outreach.get(draft)

    response = await outreach.client.patch(f"{outreach.path}{draft}", json=change)

    assert (response.status_code, response.json()["code"]) == (422, "malformed")
    assert await outreach.get(draft) == before


async def test_a_rejected_draft_is_not_sent_until_it_is_written_again(outreach: Outreach, draft: str) -> None:
    """Rejected after its approval it stays unsent, though queued; written again and approved, it goes out once."""
    await outreach.post(f"{draft}/approve")
    rejected = (await outreach.post(f"{draft}/reject", {"reason": "too long"})).json()
    await outreach.run_jobs()
    assert outreach.mails() == []
    assert (rejected["status"], rejected["errorReason"]) == ("failed", "rejected: too long")
    assert (await outreach.client.post(f"{outreach.path}{draft}/reject", json={"reason": "x"})).status_code == 409

    await outreach.post(f"{draft}/regenerate")
    await outreach.run_jobs()
    await outreach.post(f"{draft}/approve")
    await outreach.run_jobs()

    assert len(outreach.mails()) == 1
    assert (await outreach.get(draft))["errorReason"] is None


async def test_drafts_are_found_by_what_they_belong_to(outreach: Outreach, draft: str) -> None:
    """By status, sequence, lead and enrollment; another's gives none."""
    found = await outreach.get(draft)
    other = "0190a2b0-0000-7000-8000-000000000000"

    for name in ("sequenceId", "leadId", "enrollmentId"):
        assert [one["id"] for one in (await outreach.get("/drafts", **{name: found[name]}))["items"]] == [found["id"]]
        assert (await outreach.get("/drafts", **{name: other}))["items"] == []
    assert [one["id"] for one in (await outreach.get("/drafts", status="drafted"))["items"]] == [found["id"]]
    assert (await outreach.get("/drafts", status="sent"))["items"] == []
