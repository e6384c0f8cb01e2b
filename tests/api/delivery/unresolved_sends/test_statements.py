"""Each statement of outcomes beside rows that differ from its own in one condition, and each bound by a moment."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.unresolved_sends import repository, service
from api.delivery.unresolved_sends.schemas import Decision
from api.delivery.unresolved_sends.service import OutcomeKnown
from api.http.pagination import Cursors, PageRequest
from database.models import SendOutcome, Workspace
from domain.draft import DraftStatus
from domain.job import OPEN_STATUSES, JobStatus
from domain.job_types import RECONCILE_SEND
from tests.acting import insert_row
from tests.blocking import Blocking
from tests.comparing import compared
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

ATTEMPTS, DRAFTS, EVENTS = "app.send_attempts", "app.email_drafts", "app.email_events"
SEND, WRITE = "send_email", "generate_draft"
PAGE = PageRequest(50, "-createdAt", None, "", Cursors("a key"))
TICK = timedelta(microseconds=1)


def add_attempt(workspaces: TwoWorkspaces, outcome: str = "unknown", at: datetime = NOW) -> UUID:
    """Insert a draft that was claimed; returns it."""
    draft_id = workspaces.add_draft(status="reviewed")
    workspaces.add(ATTEMPTS, draft_id=draft_id, outcome=outcome, claimed_at=at)
    return draft_id


def add_job(workspaces: TwoWorkspaces, draft_id: UUID, job_type: str, status: str = "pending", **values: Any) -> UUID:
    """Insert a job about a draft."""
    payload = Jsonb({"draftId": str(draft_id)})
    return workspaces.add("app.scheduled_jobs", job_type=job_type, status=status, payload=payload, **values)


async def workspace_of(session: AsyncSession, workspaces: TwoWorkspaces) -> Workspace:
    """Return the workspace that acts."""
    return await session.get_one(Workspace, workspaces.id)


async def test_a_send_is_stuck_from_the_end_of_the_wait_on(two_workspaces: TwoWorkspaces) -> None:
    """A send that was claimed as long ago as the workspace waits is stuck; a known end is left out."""
    workspaces = two_workspaces
    workspaces.owner.execute("DELETE FROM app.send_attempts")
    workspaces.set("app.workspaces", workspaces.id, unknown_wait_hours=3)
    border = NOW - timedelta(hours=3)
    early, at_border, late = (add_attempt(workspaces, at=at) for at in (border - TICK, border, border + TICK))
    for outcome in SendOutcome:
        if outcome is not SendOutcome.UNKNOWN:
            add_attempt(workspaces, outcome, at=border)

    async def read(session: AsyncSession) -> list[list[tuple[UUID, bool]]]:
        workspace = await workspace_of(session, workspaces)
        listed = [
            await service.list_unknown_sends(session, workspace, PAGE, is_stuck=is_stuck, now=NOW)
            for is_stuck in (None, True, False)
        ]
        return [[(row["draft_id"], row["is_stuck"]) for row in rows] for rows in listed]

    assert (await compared(workspaces, read)).result == [
        [(late, False), (at_border, True), (early, True)],
        [(at_border, True), (early, True)],
        [(late, False)],
    ]


async def test_the_evidence_of_a_send_is_its_own(two_workspaces: TwoWorkspaces) -> None:
    """Recipient, sequence, events, decisions and the next look are those of the draft; events of one moment by id."""
    workspaces = two_workspaces
    workspaces.owner.execute("DELETE FROM everlytic.sync_cursors")
    draft_id, other = add_attempt(workspaces), add_attempt(workspaces)
    query = "SELECT lead.email FROM app.email_drafts AS draft JOIN app.leads AS lead ON lead.id = lead_id"
    (recipient,) = workspaces.owner.execute(f"{query} WHERE draft.id = %s".encode(), [draft_id]).fetchone() or ()
    for of, number, type_, at in (
        (draft_id, 3, "opened", NOW),
        (draft_id, 2, "delivered", NOW),
        (draft_id, 4, "clicked", NOW - TICK),
        (other, 1, "bounced", NOW),
    ):
        key = f"key {number}"
        workspaces.add(EVENTS, id=UUID(int=number), draft_id=of, type=type_, occurred_at=at, provider_event_key=key)
    for of, note in ((draft_id, "first"), (other, "other"), (draft_id, "second")):
        workspaces.add("app.send_settlements", draft_id=of, note=note)
    for status in JobStatus:
        if status not in OPEN_STATUSES:
            add_job(workspaces, draft_id, RECONCILE_SEND, status)
    add_job(workspaces, draft_id, SEND)
    add_job(workspaces, other, RECONCILE_SEND)
    for resource, count in (("callbacks", 5), (repository.TRANSACTIONS, 6)):
        insert_row(workspaces, "everlytic.sync_cursors", resource=resource, row_count=count)

    async def read(session: AsyncSession) -> dict[str, Any]:
        return await service.get_unknown_send(session, await workspace_of(session, workspaces), draft_id, NOW)

    shown = (await compared(workspaces, read)).result
    assert (shown["draft_id"], shown["recipient"], shown["next_look_up_at"]) == (draft_id, recipient, None)
    assert [event["type"] for event in shown["heard"]] == ["clicked", "delivered", "opened"]
    assert [settlement.note for settlement in shown["settlements"]] == ["first", "second"]
    assert shown["last_sync"].row_count == 6
    add_job(workspaces, draft_id, RECONCILE_SEND, run_at=NOW, last_error="no answer")
    shown = (await compared(workspaces, read)).result
    assert (shown["next_look_up_at"], shown["look_up_error"]) == (NOW, "no answer")


async def test_an_attempt_is_that_of_the_draft(two_workspaces: TwoWorkspaces) -> None:
    """The attempt of a draft is found and looked up by its own id, and noted there alone while it is unknown."""
    workspaces = two_workspaces
    unknown, other, known = (add_attempt(workspaces, outcome) for outcome in ("unknown", "unknown", "accepted"))
    untried = workspaces.add_draft()

    async def read(session: AsyncSession) -> list[Any]:
        ids = (unknown, known, untried)
        attempts = [await repository.find_attempt(session, workspaces.id, draft_id) for draft_id in ids]
        look_ups = [await service.prepare_lookup(session, workspaces.id, draft_id, timedelta(1)) for draft_id in ids]
        for draft_id in (unknown, known):
            await repository.record_failed_lookup(session, workspaces.id, draft_id, NOW)
        return [[attempt and attempt.draft_id for attempt in attempts], [look_up is None for look_up in look_ups]]

    done = await compared(workspaces, read)
    assert done.result == [[unknown, known, None], [False, True, True]]
    (noted,) = done.changes.pop(ATTEMPTS).values()
    assert noted["look_ups"] == (0, 1)
    assert done.changes == {}
    ids = workspaces.owner.execute("SELECT draft_id FROM app.send_attempts WHERE look_ups = 1").fetchall()
    assert ids == [(unknown,)]
    assert other != unknown


async def test_proof_is_about_the_draft_and_not_applied_yet(two_workspaces: TwoWorkspaces) -> None:
    """A transaction, an event or a webhook proves a send that it names, until it was applied."""
    workspaces = two_workspaces
    for table in ("transactions", "callback_events", "webhook_deliveries"):
        workspaces.owner.execute(f"DELETE FROM everlytic.{table}".encode())
    listed, polled, pushed, applied, other = (workspaces.add_draft() for _ in range(5))
    insert_row(workspaces, "everlytic.transactions", transaction_id="tx 1", message_id=str(listed))
    insert_row(workspaces, "everlytic.callback_events", event_key="polled", message_id=str(polled))
    insert_row(workspaces, "everlytic.callback_events", event_key="applied", message_id=str(applied), applied_at=NOW)
    body = b'{"message_id": "%s"}'
    workspaces.add("everlytic.webhook_deliveries", body=body % str(pushed).encode())
    workspaces.add("everlytic.webhook_deliveries", body=str(applied).encode(), applied_at=NOW)

    async def read(session: AsyncSession) -> list[str | None]:
        ids = (listed, polled, pushed, applied, other)
        return [await repository.find_proof(session, workspaces.id, draft_id) for draft_id in ids]

    assert (await compared(workspaces, read)).result == [
        "its transaction list contains it as tx 1",
        "an event of it was just polled",
        "a webhook about it was just received",
        None,
        None,
    ]


async def test_only_withdrawn_claims_of_these_drafts_return(two_workspaces: TwoWorkspaces) -> None:
    """A claim returns for a draft that is named, may have been sent and has none; no other draft gets one."""
    workspaces = two_workspaces
    drafts = {status: workspaces.add_draft(status=status) for status in DraftStatus}
    claimed = add_attempt(workspaces, "claimed")
    workspaces.add_draft(status="reviewed")  # which is not named
    ids = [*drafts.values(), claimed]
    done = await compared(
        workspaces, lambda session: repository.restore_claims(session, workspaces.id, ids, "proved late", NOW)
    )
    assert done.changes.keys() == {ATTEMPTS}
    added = done.changes[ATTEMPTS].values()
    assert {row["draft_id"][1] for row in added} == {
        str(drafts[status]) for status in (DraftStatus.REVIEWED, DraftStatus.FAILED)
    }
    assert {(row["outcome"][1], row["error"][1]) for row in added} == {("unknown", "proved late")}


async def test_only_leads_of_claims_that_return_are_locked(blocking: Blocking) -> None:
    """Claiming again leaves the lead of another draft free."""
    pairs = blocking.add_lower_mail()
    low = pairs[DRAFTS][0]
    async with blocking.kept_open(
        lambda session: repository.restore_claims(session, blocking.workspace_id, [low], "proved late", NOW)
    ):
        assert blocking.modes("app.leads", pairs["app.leads"]) == ["NO KEY UPDATE", None]


async def test_settling_waits_for_an_end_under_way(blocking: Blocking) -> None:
    """A person's word waits for what another does with the attempt, and is refused once its end is known."""
    blocking.run("UPDATE app.send_attempts SET outcome = 'rejected', error = 'no such mailbox'")

    async def settle(session: AsyncSession) -> Any:
        workspace = await session.get_one(Workspace, blocking.workspace_id)
        decided: dict[str, Any] = {"note": "", "by": UUID(int=1), "now": NOW}
        return await service.settle_send(session, workspace, blocking.ids[DRAFTS], Decision.SENT, **decided)

    async with blocking.row_locks("KEY SHARE", ATTEMPTS, [blocking.ids[ATTEMPTS]]) as pid:
        settling = await blocking.start_waiting(settle, pid)
    with pytest.raises(OutcomeKnown, match="no such mailbox"):
        await settling


async def test_a_claim_is_lost_after_an_hour(two_workspaces: TwoWorkspaces) -> None:
    """A claim of more than an hour is lost where no job of its sends it, and its end is not known."""
    workspaces = two_workspaces
    workspaces.owner.execute("DELETE FROM app.send_attempts")
    border = NOW - timedelta(hours=1)
    lost, other_type, waiting = (add_attempt(workspaces, "claimed", border - TICK) for _ in range(3))
    add_attempt(workspaces, "claimed", border)
    for outcome in SendOutcome:
        if outcome is not SendOutcome.CLAIMED:
            add_attempt(workspaces, outcome, border - TICK)
    running = add_attempt(workspaces, "claimed", border - TICK)
    add_job(workspaces, running, SEND, "running")
    add_job(workspaces, other_type, WRITE, "running")
    add_job(workspaces, waiting, SEND)
    found = await compared(workspaces, lambda session: service.list_lost_claims(session, workspaces.id, NOW))
    assert sorted(found.result) == sorted([lost, other_type, waiting])


async def test_a_thousand_lost_claims_are_found_at_once(two_workspaces: TwoWorkspaces) -> None:
    """Of a thousand and one lost claims a thousand are found, and the last one when those are recorded."""
    workspaces = two_workspaces
    workspaces.owner.execute("DELETE FROM app.send_attempts")
    ids = workspaces.ids
    workspaces.owner.execute(
        "WITH steps AS (INSERT INTO app.sequence_steps (workspace_id, sequence_id, step_order)"
        " SELECT %(workspace)s, %(sequence)s, number FROM generate_series(2, 1002) AS number RETURNING id, step_order),"
        " drafts AS (INSERT INTO app.email_drafts"
        " (workspace_id, lead_id, sequence_id, enrollment_id, step_id, step_order)"
        " SELECT %(workspace)s, %(lead)s, %(sequence)s, %(enrollment)s, id, step_order FROM steps RETURNING id)"
        " INSERT INTO app.send_attempts (workspace_id, draft_id, claimed_at) "
        " SELECT %(workspace)s, id, %(at)s FROM drafts",
        {
            "workspace": workspaces.id, "sequence": ids["app.sequences"], "lead": ids["app.leads"],
            "enrollment": ids["app.lead_enrollments"], "at": NOW - timedelta(hours=2),
        },
    )  # fmt: skip
    found = await compared(workspaces, lambda session: service.list_lost_claims(session, workspaces.id, NOW))
    assert len(set(found.result)) == 1000
    workspaces.owner.execute(
        "UPDATE app.send_attempts SET outcome = 'unknown' WHERE draft_id = ANY(%s)", [found.result]
    )
    found = await compared(workspaces, lambda session: service.list_lost_claims(session, workspaces.id, NOW))
    assert len(found.result) == 1


async def test_unknown_sends_are_watched_until_they_are_stuck(two_workspaces: TwoWorkspaces) -> None:
    """A look is put on the queue for each unknown send that no open job looks up, while the wait goes on."""
    workspaces = two_workspaces
    workspaces.owner.execute("DELETE FROM app.send_attempts")
    workspaces.owner.execute("DELETE FROM app.everlytic_connections")
    workspaces.set("app.workspaces", workspaces.id, unknown_wait_hours=3)
    border = NOW - timedelta(hours=3)
    unwatched, other_type, ended = (add_attempt(workspaces, at=border + TICK) for _ in range(3))
    add_attempt(workspaces, at=border)
    for outcome in SendOutcome:
        if outcome is not SendOutcome.UNKNOWN:
            add_attempt(workspaces, outcome, border + TICK)
    for status in OPEN_STATUSES:
        add_job(workspaces, add_attempt(workspaces, at=border + TICK), RECONCILE_SEND, status)
    add_job(workspaces, other_type, SEND)
    for status in JobStatus:
        if status not in OPEN_STATUSES:
            add_job(workspaces, ended, RECONCILE_SEND, status)

    done = await compared(workspaces, lambda session: service.requeue_sends(session, workspaces.id, NOW))

    assert done.changes.keys() == {"app.scheduled_jobs"}
    jobs = done.changes["app.scheduled_jobs"].values()
    assert {(row["job_type"][1], row["payload"][1]["draftId"]) for row in jobs} == {
        (RECONCILE_SEND, str(draft_id)) for draft_id in (unwatched, other_type, ended)
    }
    assert len(jobs) == 3


def add_forgotten(
    workspaces: TwoWorkspaces,
    status: str = "reviewed",
    *,
    sequence: dict[str, Any] | None = None,
    enrollment: dict[str, Any] | None = None,
    **draft: Any,
) -> tuple[UUID, UUID]:
    """Insert a draft that no job is about, with a sequence and an enrollment of its own; returns sequence and draft."""
    lead_id = workspaces.add("app.leads")
    sequence_id = workspaces.add("app.sequences", **{"status": "Active", **(sequence or {})})
    step_id = workspaces.add("app.sequence_steps", sequence_id=sequence_id)
    enrollment_id = workspaces.add("app.lead_enrollments", lead_id=lead_id, sequence_id=sequence_id, **enrollment or {})
    owners: dict[str, Any] = {
        "lead_id": lead_id,
        "sequence_id": sequence_id,
        "step_id": step_id,
        "enrollment_id": enrollment_id,
    }
    return sequence_id, workspaces.add(DRAFTS, status=status, **owners, **draft)


async def test_a_sequence_is_forgotten_while_something_of_it_is_due(two_workspaces: TwoWorkspaces) -> None:
    """A sequence comes once for drafts that are due, untried and without the job that their status needs."""
    workspaces = two_workspaces
    due, to_write, at_last = (
        add_forgotten(workspaces, status, send_at=at)
        for status, at in (("reviewed", NOW - TICK), ("pending", None), ("reviewed", NOW))
    )
    wrong_jobs = [add_forgotten(workspaces, status) for status in ("reviewed", "pending")]
    for (_, draft_id), job_type in zip(wrong_jobs, (WRITE, SEND), strict=True):
        add_job(workspaces, draft_id, job_type)
    ended = add_forgotten(workspaces)
    add_job(workspaces, ended[1], SEND, "failed")
    # What differs from these in one thing.
    add_forgotten(workspaces, send_at=NOW + TICK)
    for status in ("drafted", "sent", "failed"):
        add_forgotten(workspaces, status)
    add_forgotten(workspaces, enrollment={"status": "paused"})
    add_forgotten(workspaces, sequence={"status": "Paused"})
    add_forgotten(workspaces, sequence={"deleted_at": NOW})
    workspaces.add(ATTEMPTS, draft_id=add_forgotten(workspaces)[1])
    for status, job_type in (("reviewed", SEND), ("pending", WRITE)):
        for job_status in OPEN_STATUSES:
            add_job(workspaces, add_forgotten(workspaces, status)[1], job_type, job_status)

    async def read(session: AsyncSession) -> Sequence[UUID]:
        return await repository.list_sequences_to_requeue(
            session, workspaces.id, send_job=SEND, draft_job=WRITE, now=NOW
        )

    found = await compared(workspaces, read)
    expected = [sequence_id for sequence_id, _ in (due, to_write, at_last, *wrong_jobs, ended)]
    assert sorted(found.result) == sorted(expected)


@pytest.mark.parametrize("is_disabled", [False, True])
async def test_what_was_forgotten_is_taken_up_unless_the_connection_is_disabled(
    two_workspaces: TwoWorkspaces, is_disabled: bool
) -> None:
    """Each forgotten sequence is taken up, with a job for each draft; none while the connection is disabled."""
    workspaces = two_workspaces
    workspaces.owner.execute("DELETE FROM app.send_attempts")
    if is_disabled:
        workspaces.set("app.everlytic_connections", workspaces.ids["app.everlytic_connections"], disabled_at=NOW)
    forgotten = [add_forgotten(workspaces)[1] for _ in range(2)]
    done = await compared(workspaces, lambda session: service.requeue_sends(session, workspaces.id, NOW))
    jobs = done.changes.get("app.scheduled_jobs", {}).values()
    expected = [] if is_disabled else sorted(map(str, forgotten))
    assert sorted(row["payload"][1]["draftId"] for row in jobs) == expected
