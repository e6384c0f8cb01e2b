"""What each statement of drafts takes, with rows beside those it is for that differ from them in one column."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from api.outreach.drafts import repository
from database.models import EmailDraft
from domain.draft import EDITABLE_STATUSES
from tests.acting import FIRST_PAGE, act_alone, owner_session
from tests.database.rows import Ids
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

DRAFTS, LEADS, SEQUENCES, STEPS = "app.email_drafts", "app.leads", "app.sequences", "app.sequence_steps"
ENROLLMENTS, REPLIES, ATTEMPTS = "app.lead_enrollments", "app.replies", "app.send_attempts"
HOUR = timedelta(hours=1)


def add_mail(
    workspaces: TwoWorkspaces,
    of: Ids | None = None,
    *,
    lead: dict[str, Any] | None = None,
    sequence: dict[str, Any] | None = None,
    enrollment: str = "active",
    **values: Any,
) -> Ids:
    """Insert a draft with a lead, a sequence, a step and an enrollment of its own; returns their ids by table."""
    ids = {LEADS: workspaces.add(LEADS, of, **lead or {}), SEQUENCES: workspaces.add(SEQUENCES, of, **sequence or {})}
    ids[STEPS] = workspaces.add(STEPS, of, sequence_id=ids[SEQUENCES])
    owners = {"lead_id": ids[LEADS], "sequence_id": ids[SEQUENCES]}
    ids[ENROLLMENTS] = workspaces.add(ENROLLMENTS, of, status=enrollment, **owners)
    owners |= {"enrollment_id": ids[ENROLLMENTS], "step_id": ids[STEPS]}
    return ids | {DRAFTS: workspaces.add(DRAFTS, of, **owners, **values)}


async def test_each_draft_is_written_from_its_own_rows(two_workspaces: TwoWorkspaces) -> None:
    """A draft comes with its own step, lead, sequence and workspace; one that is not to be written does not come."""
    workspaces = two_workspaces
    mails = [add_mail(workspaces) for _ in range(2)]
    drafted = add_mail(workspaces, status="drafted")
    deleted = add_mail(workspaces, lead={"deleted_at": NOW})
    foreign = add_mail(workspaces, workspaces.neighbour)
    add_mail(workspaces)  # which is not requested
    requested_ids = [ids[DRAFTS] for ids in (*mails, drafted, deleted, foreign)]
    async with owner_session(workspaces) as session:
        materials = await repository.find_materials(session, workspaces.id, requested_ids)
    assert sorted((one.draft.id, one.step.id, one.lead.id, one.sequence.id, one.workspace.id) for one in materials) == [
        (ids[DRAFTS], ids[STEPS], ids[LEADS], ids[SEQUENCES], workspaces.id)
        for ids in sorted(mails, key=lambda ids: ids[DRAFTS])
    ]


async def test_earlier_messages_are_those_of_the_enrollments(two_workspaces: TwoWorkspaces) -> None:
    """What was sent and what people answered comes in order, at the same moment by id; nothing else does.

    Neither a draft that was not sent, nor an automatic reply, nor what belongs to another enrollment.
    """
    workspaces = two_workspaces
    first, other = add_mail(workspaces, step_order=2), add_mail(workspaces, step_order=2)
    low = first[DRAFTS].int
    owners = {"lead_id": LEADS, "sequence_id": SEQUENCES, "enrollment_id": ENROLLMENTS}
    about: dict[str, Any] = {name: first[table] for name, table in owners.items()}
    # The higher id first, so that the order of the rows is not that of their ids.
    for subject, number, status, sent_at in (
        ("third", 3, "sent", NOW),
        ("second", 2, "sent", NOW),
        ("first", 4, "sent", NOW - HOUR),
        ("unsent", 5, "reviewed", NOW),
    ):
        values: dict[str, Any] = {"subject": subject, "status": status, "sent_at": sent_at}
        step_id = workspaces.add(STEPS, sequence_id=first[SEQUENCES], step_order=number)
        workspaces.add(DRAFTS, id=UUID(int=low + number), step_id=step_id, **about, **values)
    for subject, mail, is_automatic in (
        ("answer", first, False),
        ("out of office", first, True),
        ("another's", other, False),
    ):
        workspaces.add(
            REPLIES, message_id=subject, subject=subject, enrollment_id=mail[ENROLLMENTS], is_automatic=is_automatic,
            received_at=NOW + HOUR,
        )  # fmt: skip
    workspaces.set(DRAFTS, other[DRAFTS], status="sent", sent_at=NOW)
    async with owner_session(workspaces) as session:
        draft = await session.get_one(EmailDraft, first[DRAFTS])
        messages = await repository.list_earlier_messages(session, [draft])
    assert [(row.direction, row.subject) for row in messages] == [
        ("sent", "first"), ("sent", "second"), ("sent", "third"), ("received", "answer"),
    ]  # fmt: skip
    assert {row.enrollment_id for row in messages} == {first[ENROLLMENTS]}


@pytest.mark.parametrize(
    ("name", "table"),
    [("sequence_id", SEQUENCES), ("lead_id", LEADS), ("enrollment_id", ENROLLMENTS), ("status", None)],
)
async def test_drafts_are_found_by_each_filter(two_workspaces: TwoWorkspaces, name: str, table: str | None) -> None:
    """Each filter finds the drafts that have its value, and no other."""
    workspaces = two_workspaces
    mail, *_ = (add_mail(workspaces, status=status) for status in ("drafted", "reviewed"))
    filters: dict[str, Any] = dict.fromkeys(("status", "sequence_id", "lead_id", "enrollment_id"))
    filters[name] = "drafted" if table is None else mail[table]
    async with owner_session(workspaces) as session:
        found = await repository.list_drafts(session, workspaces.id, FIRST_PAGE, **filters)
        exist = await repository.find_existing_ids(session, workspaces.id, [mail[DRAFTS], UUID(int=1)])
    assert [draft.id for draft in found] == [mail[DRAFTS]]
    assert exist == {mail[DRAFTS]}


async def test_one_draft_is_found_changed_and_written(two_workspaces: TwoWorkspaces) -> None:
    """A draft is found and changed by its id, though another has an attempt; what was written is stored in its own."""
    workspaces = two_workspaces
    mail, other = (add_mail(workspaces, status="drafted") for _ in range(2))
    add_mail(workspaces, status="drafted")
    workspaces.add(ATTEMPTS, draft_id=other[DRAFTS])
    draft_id = mail[DRAFTS]
    values = {"subject": "Changed"}
    changed = await act_alone(
        workspaces, lambda session: repository.change_draft(session, workspaces.id, draft_id, EDITABLE_STATUSES, values)
    )
    assert changed.after() == {DRAFTS: {str(draft_id): values}}
    async with owner_session(workspaces) as session:
        for find in (repository.find_draft, repository.lock_draft):
            found = [await find(session, workspaces.id, one) for one in (draft_id, UUID(int=1))]
            assert [row and row.id for row in found] == [draft_id, None]
        draft = await repository.find_draft(session, workspaces.id, draft_id)
        assert draft is not None
        context = [row.id for row in await repository.find_context(session, draft)]
        assert context == [workspaces.id, mail[STEPS], mail[LEADS]]
    pending = [add_mail(workspaces)[DRAFTS] for _ in range(3)]
    text = {"body": "Hi", "body_html": "<p>Hi</p>", "error_reason": None, "generation": {"trace_id": "t"}}
    written = [
        {"id": one, "status": "drafted", "subject": f"To {number}", **text} for number, one in enumerate(pending[:2])
    ]
    stored = await act_alone(workspaces, lambda session: repository.store_drafts(session, workspaces.id, written))
    assert stored.after() == {
        DRAFTS: {
            str(one): {"status": "drafted", "subject": f"To {number}", "body": "Hi", "body_html": "<p>Hi</p>",
                       "generation": {"trace_id": "t"}}
            for number, one in enumerate(pending[:2])
        }
    }  # fmt: skip


REFUSALS: dict[str | None, dict[str, Any]] = {
    None: {},
    "the enrollment is completed": {"enrollment": "completed"},
    "the sequence was deleted": {"sequence": {"deleted_at": NOW}},
    "the lead has unsubscribed": {"lead": {"status": "Unsubscribed"}},
}


@pytest.mark.parametrize("chosen_by", ["id", "sequence"])
async def test_each_draft_is_approved_by_its_own_rows(two_workspaces: TwoWorkspaces, chosen_by: str) -> None:
    """Of drafts that wait, those are approved whose own enrollment, sequence and lead allow it, if they were chosen."""
    workspaces = two_workspaces
    mails = {refusal: add_mail(workspaces, status="drafted", **values) for refusal, values in REFUSALS.items()}
    add_mail(workspaces, status="drafted")  # which is not chosen
    add_mail(workspaces, workspaces.neighbour, status="drafted")
    if chosen_by == "sequence":
        mails = {None: mails[None]}

    async def approve(session: AsyncSession) -> dict[UUID, str | None]:
        return await repository.approve_drafts(
            session,
            workspaces.id,
            draft_ids=[ids[DRAFTS] for ids in mails.values()] if chosen_by == "id" else None,
            sequence_id=mails[None][SEQUENCES] if chosen_by == "sequence" else None,
        )

    acted = await act_alone(workspaces, approve)
    assert acted.result == {ids[DRAFTS]: refusal for refusal, ids in mails.items()}
    assert acted.after() == {DRAFTS: {str(mails[None][DRAFTS]): {"status": "reviewed"}}}


async def test_each_draft_is_refused_by_its_own_rows(two_workspaces: TwoWorkspaces) -> None:
    """Why a draft cannot go out is said by its own enrollment, sequence and lead, not by those of another."""
    workspaces = two_workspaces
    mails = {refusal: add_mail(workspaces, **values)[DRAFTS] for refusal, values in REFUSALS.items()}
    async with owner_session(workspaces) as session:
        refusals = [
            await repository.find_refusal_reason(session, await session.get_one(EmailDraft, draft_id))
            for draft_id in mails.values()
        ]
    assert refusals == list(mails)


async def test_jobs_are_of_the_chosen_drafts(two_workspaces: TwoWorkspaces) -> None:
    """A draft is sent at its time, or now where that has passed; its trace is scored now, if it has one."""
    workspaces = two_workspaces
    late, early, untraced, _ = (
        add_mail(workspaces, send_at=send_at, generation=Jsonb(generation))[DRAFTS]
        for send_at, generation in (
            (NOW + HOUR, {"trace_id": "a"}), (NOW - HOUR, {"trace_id": "b"}), (None, {"model": "m"}),
            (NOW, {"trace_id": "c"}),
        )
    )  # fmt: skip
    chosen = [late, early, untraced]
    async with owner_session(workspaces) as session:
        sends = (await session.execute(repository.select_send_jobs(workspaces.id, chosen, NOW))).all()
        scores = (
            await session.execute(repository.select_score_jobs(workspaces.id, chosen, {"approved": True}, NOW))
        ).all()
    assert {payload["draftId"]: due for payload, due in sends} == {
        str(late): NOW + HOUR, str(early): NOW, str(untraced): NOW,
    }  # fmt: skip
    assert sorted(((payload, due) for payload, due in scores), key=str) == sorted(
        (({"draftId": str(draft_id), "approved": True}, NOW) for draft_id in (late, early)), key=str
    )
