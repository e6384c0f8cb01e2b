"""Tests each statement beside rows that differ in one condition, and when a correction is scored."""

from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from ai.workflows.intent_classification.state import Intent
from api.http.pagination import Cursors, PageRequest
from api.inbox.replies import repository, service
from api.inbox.replies.service import Decision
from database.models import Reply
from domain.job_types import SCORE_REPLY
from tests.comparing import compared
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

REPLIES, LEADS, JOBS = "app.replies", "app.leads", "app.scheduled_jobs"


def add_reply(workspaces: TwoWorkspaces, name: str, **values: Any) -> UUID:
    """Insert a reply with a new message id."""
    return workspaces.add(REPLIES, message_id=name, from_email=f"{name}@lead.example", **values)


async def test_one_reply_is_read_and_changed(two_workspaces: TwoWorkspaces) -> None:
    """A reply is found by its id, with the sequence of its own mail, and its intent is stored for no other reply."""
    workspaces = two_workspaces
    draft_id = workspaces.add_draft()
    workspaces.add_draft()
    reply_id, unmatched = add_reply(workspaces, "first", draft_id=draft_id), add_reply(workspaces, "unmatched")

    async def decide(session: AsyncSession) -> list[Any]:
        one = await repository.find_reply(session, workspaces.id, reply_id)
        locked = await repository.lock_reply(session, workspaces.id, reply_id)
        shown = [await repository.find_reply_row(session, workspaces.id, id_) for id_ in (reply_id, unmatched)]
        is_first = await repository.store_decision(session, reply_id, {"intent": "other"}, overwrite=False)
        is_second = await repository.store_decision(session, reply_id, {"intent": "bounce"}, overwrite=False)
        ids = [one and one.id, locked and locked.id, *(row and (row.id, row.sequence_id) for row in shown)]
        return [*ids, is_first, is_second]

    acted = await compared(workspaces, decide)
    sequence_id = workspaces.ids["app.sequences"]
    assert acted.result == [reply_id, reply_id, (reply_id, sequence_id), (unmatched, None), True, False]
    ((key, row),) = acted.changes.pop(REPLIES).items()
    assert (key, row.pop("intent"), set(row)) == (str(reply_id), (None, "other"), {"updated_at", "written_by"})
    assert acted.changes == {}


async def test_corrections_are_listed_with_their_own_replies(two_workspaces: TwoWorkspaces) -> None:
    """A correction is listed with the text of its own reply."""
    workspaces = two_workspaces
    workspaces.owner.execute("DELETE FROM app.reply_corrections")
    replies = {add_reply(workspaces, name, subject=name): name for name in ("first", "second")}
    for reply_id in replies:
        workspaces.add("app.reply_corrections", reply_id=reply_id)
    page = PageRequest(50, "id", None, "corrections", Cursors("key"))
    listed = (await compared(workspaces, lambda it: repository.list_corrections(it, workspaces.id, page))).result
    assert sorted((row.reply_id, row.subject) for row in listed) == sorted(replies.items())


@pytest.mark.parametrize("is_automatic", [None, False, True])
async def test_another_reply_counts_unless_it_is_automatic(
    two_workspaces: TwoWorkspaces, *, is_automatic: bool | None
) -> None:
    """Another reply of the same lead counts, unless it is automatic."""
    workspaces = two_workspaces
    lead_id = workspaces.add(LEADS)
    reply_id = add_reply(workspaces, "first", lead_id=lead_id)
    add_reply(workspaces, "another", lead_id=workspaces.add(LEADS))

    async def has_answered(session: AsyncSession) -> bool:
        return await repository.has_other_reply(session, await session.get_one(Reply, reply_id))

    assert not (await compared(workspaces, has_answered)).result
    add_reply(workspaces, "second", lead_id=lead_id, is_automatic=is_automatic)
    assert (await compared(workspaces, has_answered)).result is (is_automatic is not True)


TRACED = {"trace_id": "a trace"}


@pytest.mark.parametrize(
    ("before", "right"),
    [
        ({"generation": Jsonb(TRACED)}, True),
        ({"generation": Jsonb(TRACED), "intent": "other"}, False),
        ({"generation": Jsonb(TRACED), "is_automatic": True}, False),
        ({"generation": Jsonb(TRACED), "decided_by": "person"}, None),
        ({"generation": Jsonb({})}, None),
        ({"generation": Jsonb({"trace_id": None})}, None),
        ({}, None),
    ],
)
async def test_a_correction_scores_a_traced_classification(
    two_workspaces: TwoWorkspaces, before: dict[str, Any], *, right: bool | None
) -> None:
    """A traced classification is scored by a correction: right if the intent and whether it is automatic are the same.

    A reply that answers no mail has no effects.
    """
    workspaces = two_workspaces
    usual = {"intent": "interested", "is_automatic": False, "decided_by": "model", "needs_review": True}
    reply_id = add_reply(workspaces, "first", **{**usual, **before})
    decision = Decision(Intent.INTERESTED, is_automatic=False, return_date=None)

    async def correct(session: AsyncSession) -> object:
        return await service.correct_reply(session, workspaces.id, reply_id, decision, by=UUID(int=7), now=NOW)

    changes = (await compared(workspaces, correct)).changes
    jobs = [{name: after for name, (_, after) in row.items()} for row in changes.pop(JOBS, {}).values()]
    assert [(job["job_type"], job["payload"]) for job in jobs] == (
        [] if right is None else [(SCORE_REPLY, {"replyId": str(reply_id), "right": right})]
    )
    ((_, row),) = changes.pop(REPLIES).items()
    assert (row["confidence"], row["needs_review"]) == ((None, 1), (True, False))
    ((_, correction),) = changes.pop("app.reply_corrections").items()
    assert correction["intent_before"][1] == before.get("intent", "interested")
    assert changes == {}


@pytest.mark.parametrize("missing", ["lead_id", "draft_id"])
async def test_a_reply_without_lead_or_mail_has_no_effects(two_workspaces: TwoWorkspaces, missing: str) -> None:
    """A reply without a mail or a lead that is no no is corrected without effects."""
    workspaces = two_workspaces
    draft_id = workspaces.add_draft()
    ((lead_id,),) = workspaces.owner.execute("SELECT lead_id FROM app.email_drafts WHERE id = %s", [draft_id])
    owners = {"lead_id": lead_id, "draft_id": draft_id, missing: None}
    reply_id = add_reply(workspaces, "first", is_automatic=False, **owners)

    async def correct(session: AsyncSession) -> None:
        for is_automatic in (True, False):
            decision = Decision(Intent.OUT_OF_OFFICE, is_automatic=is_automatic, return_date=None)
            await service.correct_reply(session, workspaces.id, reply_id, decision, by=UUID(int=7), now=NOW)

    assert set((await compared(workspaces, correct)).changes) == {REPLIES, "app.reply_corrections"}


async def test_a_no_that_answers_no_mail_suppresses_its_sender(two_workspaces: TwoWorkspaces) -> None:
    """A no without mail and lead suppresses the address of its sender, and no other."""
    workspaces = two_workspaces
    reply_id = add_reply(workspaces, "first")
    workspaces.set(REPLIES, reply_id, from_email="anna@home.example")

    async def correct(session: AsyncSession) -> None:
        decision = Decision(Intent.UNSUBSCRIBE, is_automatic=False, return_date=None)
        await service.correct_reply(session, workspaces.id, reply_id, decision, by=UUID(int=7), now=NOW)

    changes = (await compared(workspaces, correct)).changes
    assert set(changes) == {REPLIES, "app.reply_corrections", "app.suppressions"}
    assert [row["value"][1] for row in changes["app.suppressions"].values()] == ["anna@home.example"]


async def test_the_trace_of_a_reply(two_workspaces: TwoWorkspaces) -> None:
    """A reply has the trace of its run; there is none without a run, without a trace, or for an unknown reply."""
    workspaces = two_workspaces
    runs: dict[str, dict[str, Any]] = {"traced": {"generation": Jsonb(TRACED)}, "untraced": {"generation": Jsonb({})}}
    ids = [add_reply(workspaces, name, **values) for name, values in (runs | {"unread": {}}).items()]

    async def read(session: AsyncSession) -> list[str | None]:
        return [await service.find_trace(session, workspaces.id, id_) for id_ in (*ids, UUID(int=0))]

    assert (await compared(workspaces, read)).result == ["a trace", None, None, None]
