from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.sending import repository
from database.models import SendOutcome
from domain.draft import DraftEvent, DraftStatus, source_statuses
from tests.overtaking import overtaken, rows_in_each, setting
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

DRAFTS, ATTEMPTS, SLOTS = "app.email_drafts", "app.send_attempts", "app.send_slots"
RELEASED = "app.released_claims"
OPEN = (SendOutcome.CLAIMED, SendOutcome.UNKNOWN)


def add_claimed(workspaces: TwoWorkspaces, *, outcome: str = "claimed", status: str = "reviewed") -> UUID:
    """Insert a draft whose sending was claimed; returns the attempt."""
    draft_id = workspaces.add_draft(status=status)
    return workspaces.add(ATTEMPTS, draft_id=draft_id, claimed_at=NOW, outcome=outcome)


def draft_of(workspaces: TwoWorkspaces, attempt_id: UUID) -> UUID:
    """Return the draft of an attempt."""
    row = workspaces.owner.execute("SELECT draft_id FROM app.send_attempts WHERE id = %s", [attempt_id]).fetchone()
    assert row is not None
    return UUID(str(row[0]))


def add_used_slot(workspaces: TwoWorkspaces, draft_id: UUID) -> None:
    """Insert a slot that a draft's mail used."""
    workspaces.owner.execute(
        "INSERT INTO app.send_slots (workspace_id, draft_id, domain, at, is_used) VALUES (%s, %s, 'x', %s, true)",
        [workspaces.id, draft_id, NOW],
    )


@pytest.mark.fences("api.delivery.sending.repository:_RECORD_ACCEPTANCES")
async def test_only_open_attempts_are_accepted(two_workspaces: TwoWorkspaces) -> None:
    """A mail is accepted where its end is not known yet; its draft is sent then, unless it was moved meanwhile."""
    workspaces, sources = two_workspaces, source_statuses(DraftEvent.SENT)
    ended, opened = rows_in_each(lambda outcome: add_claimed(workspaces, outcome=outcome), "outcome", OPEN, SendOutcome)
    moved_drafts, sent = {}, {draft_of(workspaces, attempt_id) for attempt_id in opened}
    for status in DraftStatus:
        attempt_id = add_claimed(workspaces, status="failed")
        opened.add(attempt_id)
        if status in sources:
            workspaces.set(DRAFTS, draft_of(workspaces, attempt_id), status=status)
            sent.add(draft_of(workspaces, attempt_id))
        else:
            moved_drafts[draft_of(workspaces, attempt_id)] = {"status": status}
    add_claimed(workspaces)  # which nothing is said about
    transaction_ids = {draft_of(workspaces, attempt_id): "tx" for attempt_id in (*ended, *opened)}
    transaction_ids[workspaces.neighbour[DRAFTS]] = "tx"
    overtaking = await overtaken(
        workspaces,
        lambda other: (setting(ATTEMPTS, ended)(other), setting(DRAFTS, moved_drafts)(other)),
        lambda session: repository.record_acceptances(session, workspaces.id, transaction_ids, NOW),
    )
    assert overtaking.result == sent
    assert overtaking.rows == {ATTEMPTS: opened, DRAFTS: sent}


@pytest.mark.fences("api.delivery.sending.repository:_RELEASE_CLAIM")
@pytest.mark.parametrize("outcome", SendOutcome)
async def test_only_open_attempts_are_withdrawn(two_workspaces: TwoWorkspaces, outcome: SendOutcome) -> None:
    """A claim is withdrawn with the slot it used while its outcome is unknown; a mail with an outcome keeps both."""
    workspaces = two_workspaces
    attempt_id = add_claimed(workspaces)
    draft_id = draft_of(workspaces, attempt_id)
    for used_id in (draft_id, draft_of(workspaces, add_claimed(workspaces))):
        add_used_slot(workspaces, used_id)
    overtaking = await overtaken(
        workspaces,
        setting(ATTEMPTS, {attempt_id: {"outcome": outcome}}),
        lambda session: repository.release_claim(session, workspaces.id, draft_id),
    )
    assert overtaking.result == (outcome if outcome in OPEN else None)
    released = {ATTEMPTS: {attempt_id}, SLOTS: {draft_id}, RELEASED: {draft_id}}
    assert overtaking.rows == (released if outcome in OPEN else {})


@pytest.mark.fences("api.delivery.sending.repository:_RELEASE_CLAIM")
async def test_a_slot_that_is_only_reserved_stays(two_workspaces: TwoWorkspaces) -> None:
    """A slot that is reserved for a mail anew while its claim is withdrawn stays, because it was not used."""
    workspaces = two_workspaces
    attempt_id = add_claimed(workspaces)
    draft_id = draft_of(workspaces, attempt_id)
    add_used_slot(workspaces, draft_id)
    overtaking = await overtaken(
        workspaces,
        lambda other: other.execute("UPDATE app.send_slots SET is_used = false WHERE draft_id = %s", [draft_id]),
        lambda session: repository.release_claim(session, workspaces.id, draft_id),
    )
    assert overtaking.rows == {ATTEMPTS: {attempt_id}, RELEASED: {draft_id}}


@pytest.mark.fences("api.delivery.sending.repository:record_outcome")
@pytest.mark.parametrize(
    ("outcome", "sources"), [(SendOutcome.UNKNOWN, {SendOutcome.CLAIMED}), (SendOutcome.REJECTED, set(OPEN))]
)
async def test_only_open_attempts_are_refused(
    two_workspaces: TwoWorkspaces, outcome: SendOutcome, sources: set[SendOutcome]
) -> None:
    """A send becomes unknown from claimed alone, and rejected while its end is not known; what ended first stays."""
    workspaces = two_workspaces
    ended, opened = rows_in_each(
        lambda outcome: add_claimed(workspaces, outcome=outcome), "outcome", sources, SendOutcome
    )

    async def refuse_each(session: AsyncSession) -> set[UUID]:
        return {
            attempt_id
            for attempt_id in (*ended, *opened)
            if await repository.record_outcome(session, draft_of(workspaces, attempt_id), outcome, "because")
        }

    overtaking = await overtaken(workspaces, setting(ATTEMPTS, ended), refuse_each)
    assert overtaking.result == opened
    assert overtaking.rows == {ATTEMPTS: opened}


@pytest.mark.fences("api.delivery.sending.repository:fail_drafts")
@pytest.mark.parametrize("event", [DraftEvent.BLOCKED, DraftEvent.SEND_REFUSED])
async def test_only_drafts_the_event_is_legal_for_fail(two_workspaces: TwoWorkspaces, event: DraftEvent) -> None:
    """A draft that must not go out fails while it waits to be sent, and not once it was sent or moved otherwise."""
    moved, waiting = rows_in_each(two_workspaces.add_draft, "status", source_statuses(event), DraftStatus)
    foreign = two_workspaces.add_draft(two_workspaces.neighbour, status="reviewed")
    ids = [*moved, *waiting, foreign]
    two_workspaces.add_draft(status="reviewed")  # which is not among them
    overtaking = await overtaken(
        two_workspaces,
        setting(DRAFTS, moved),
        lambda session: repository.fail_drafts(session, two_workspaces.id, ids, event, "because"),
    )
    assert overtaking.rows == {DRAFTS: waiting}
