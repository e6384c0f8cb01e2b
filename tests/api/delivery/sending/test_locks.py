from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import service as workspaces
from api.delivery.sending import repository, service
from api.delivery.sending.service import SendRequest
from api.outreach.drafts import service as drafts
from api.outreach.enrollment_status import service as enrollment_status
from api.outreach.sequences import service as sequences
from api.people.leads import service as leads
from api.people.suppressions import service as suppressions
from database.tenancy import Scope, enter_scope
from domain.enrollment import EnrollmentEvent
from domain.lead import LeadEvent
from domain.suppression import SuppressionReason
from tests.blocking import Blocking

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 4, 10, tzinfo=UTC)
ORDER = ("app.leads", "app.lead_enrollments", "app.sequences", "app.email_drafts")


@pytest.mark.parametrize(
    ("lock_rows", "modes"),
    [
        pytest.param(
            repository.lock_to_claim,
            ("SHARE", "SHARE", "SHARE", "SHARE"),
            marks=pytest.mark.locks("api.delivery.sending.repository:_LOCK_SHARED"),
            id="to claim",
        ),
        pytest.param(
            repository.lock_candidates,
            ("NO KEY UPDATE", "NO KEY UPDATE", None, None),
            marks=pytest.mark.locks("api.delivery.sending.repository:_LOCK_EXCLUSIVE"),
            id="to change",
        ),
    ],
)
async def test_what_a_send_locks(blocking: Blocking, lock_rows: Any, modes: tuple[str | None, ...]) -> None:
    """A claim locks leads, enrollments, sequences and drafts in share mode, a record the first two; each by id."""
    pairs = blocking.add_lower_mail()

    async def lock(session: AsyncSession) -> None:
        await lock_rows(session, blocking.workspace_id, pairs["app.email_drafts"])

    async with blocking.kept_open(lock):
        assert [blocking.modes(table, pairs[table]) for table in ORDER] == [[mode, mode] for mode in modes]
    for table, mode in zip(ORDER, modes, strict=True):
        if mode is not None:
            await blocking.prove_row_lock(mode, table, pairs[table], lock)


async def test_a_claim_locks_tables_in_one_order(blocking: Blocking) -> None:
    """A claim that waits for a row of one table has locked the tables before it, and none of those behind it."""
    pairs = blocking.add_lower_mail()
    for place, table in enumerate(ORDER):
        async with blocking.row_locks("UPDATE", table, pairs[table]) as pid:
            waiting = await blocking.start_waiting(
                lambda session: repository.lock_to_claim(session, blocking.workspace_id, pairs["app.email_drafts"]), pid
            )
            modes = [blocking.modes(other, pairs[other])[0] for other in ORDER if other != table]
        assert modes == ["SHARE"] * place + [None] * (len(ORDER) - place - 1)
        await waiting


@pytest.mark.locks("api.delivery.sending.repository:lock_sequences")
async def test_the_steps_of_a_sequence_stay_while_the_next_is_chosen(blocking: Blocking) -> None:
    """Choosing the next steps locks their sequences in share mode, the lower id first."""
    ids = blocking.add_lower("app.sequences")
    await blocking.prove_row_lock(
        "SHARE", "app.sequences", ids, lambda session: repository.lock_sequences(session, blocking.workspace_id, ids)
    )


Stop = Callable[[AsyncSession, Blocking], Awaitable[Any]]


async def unsubscribe(session: AsyncSession, blocking: Blocking) -> object:
    """Unsubscribe the lead."""
    return await leads.apply_event(
        session,
        blocking.workspace_id,
        [blocking.ids["app.leads"]],
        LeadEvent.UNSUBSCRIBED,
        cause="a person",
        now=NOW,
    )


async def pause_enrollment(session: AsyncSession, blocking: Blocking) -> object:
    """Pause the enrollment."""
    ids = blocking.workspace_id, blocking.ids["app.lead_enrollments"]
    return await enrollment_status.pause_enrollment(session, *ids, cause="a person", now=NOW)


async def stop_lead(session: AsyncSession, blocking: Blocking) -> object:
    """Pause all enrollments of the lead."""
    return await enrollment_status.apply_event_to_leads(
        session,
        blocking.workspace_id,
        EnrollmentEvent.PAUSED,
        [blocking.ids["app.leads"]],
        cause="a person",
        now=NOW,
    )


async def suppress(session: AsyncSession, blocking: Blocking) -> object:
    """Suppress the address of the lead."""
    (row,) = blocking.run("SELECT email FROM app.leads WHERE id = %s", blocking.ids["app.leads"])
    return await suppressions.add_suppression(
        session,
        blocking.workspace_id,
        email=row[0],
        domain=None,
        reason=SuppressionReason.MANUAL,
        source="a person",
        at=NOW,
    )


async def say_no_beside(session: AsyncSession, blocking: Blocking) -> object:
    """Suppress the address of the lead by a no to another workspace of the account."""
    (row,) = blocking.run("SELECT email FROM app.leads WHERE id = %s", blocking.ids["app.leads"])
    beside = blocking.add("app.workspaces")
    await enter_scope(session, Scope(workspace_id=beside))
    return await suppressions.suppress_addresses(
        session, beside, [row[0]], reason=SuppressionReason.UNSUBSCRIBED, source="a link", at=NOW
    )


async def pause_sequence(session: AsyncSession, blocking: Blocking) -> object:
    """Pause the sequence."""
    return await sequences.pause_sequence(session, blocking.workspace_id, blocking.ids["app.sequences"])


async def reject_draft(session: AsyncSession, blocking: Blocking) -> object:
    """Lock the draft to reject it."""
    return await drafts.lock_draft(session, blocking.workspace_id, blocking.ids["app.email_drafts"])


async def limit_workspace(session: AsyncSession, blocking: Blocking) -> object:
    """Lock the workspace to give it a limit."""
    return await workspaces.lock_workspace(session, blocking.workspace_id)


STOPS_OF_ROWS = [unsubscribe, pause_enrollment, stop_lead, pause_sequence]
SUPPRESSIONS = [suppress, say_no_beside]
STOPS = [*STOPS_OF_ROWS, *SUPPRESSIONS, reject_draft, limit_workspace]


@pytest.fixture
def ready(blocking: Blocking) -> Blocking:
    """A draft that may be claimed."""
    blocking.run("DELETE FROM app.send_attempts")
    blocking.run("DELETE FROM app.suppressions")
    blocking.run("UPDATE app.email_drafts SET status = 'reviewed', send_at = NULL")
    blocking.run("UPDATE app.sequences SET status = 'Active', deleted_at = NULL, pause_reason = NULL")
    blocking.run("UPDATE app.lead_enrollments SET status = 'active'")
    return blocking


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.__name__)
async def test_a_stop_waits_for_an_open_claim(ready: Blocking, stop: Stop) -> None:
    """A stop, an edit or a change of limits waits for an open claim that has not seen it."""
    async with ready.kept_open(lambda session: _claim(session, ready)) as claiming:
        stopping = await ready.start_waiting(lambda session: stop(session, ready), claiming.pid)
    await stopping


@pytest.mark.parametrize("stop", STOPS_OF_ROWS, ids=lambda stop: stop.__name__)
async def test_a_claim_waits_for_an_open_stop(ready: Blocking, stop: Stop) -> None:
    """A claim waits for a stop that is not committed yet, and then claims nothing."""
    async with ready.kept_open(lambda session: stop(session, ready)) as stopping:
        claiming = await ready.start_waiting(lambda session: _claim(session, ready), stopping.pid)
    (answer,) = await claiming
    assert not isinstance(answer, service.Claim)
    assert ready.run("SELECT id FROM app.send_attempts") == []


@pytest.mark.parametrize("stop", SUPPRESSIONS, ids=lambda stop: stop.__name__)
async def test_a_claim_waits_for_a_suppression_that_commits(ready: Blocking, stop: Stop) -> None:
    """A claim that comes while a suppression waits for an earlier claim waits too, and then claims nothing."""
    low, high = ready.add_lower_mail()["app.email_drafts"]
    ready.run("UPDATE app.email_drafts SET status = 'reviewed'")
    async with ready.kept_open(lambda session: _claim(session, ready, low)) as first:
        stopping = await ready.start_waiting(lambda session: stop(session, ready), first.pid)
        claiming = await ready.start_waiting(lambda session: _claim(session, ready, high), None)
    await stopping
    (answer,) = await claiming
    assert not isinstance(answer, service.Claim)
    assert ready.run("SELECT id FROM app.send_attempts WHERE draft_id = %s", high) == []


async def test_claims_do_not_wait_for_each_other(ready: Blocking) -> None:
    """Two claims of a workspace without limits run at once, though they share a lead's sequence."""
    pairs = ready.add_lower_mail()
    low, high = pairs["app.email_drafts"]
    ready.run("UPDATE app.email_drafts SET status = 'reviewed', sequence_id = %s", ready.ids["app.sequences"])
    async with ready.kept_open(lambda session: _claim(session, ready, high)):
        await ready.run_alone(lambda session: _claim(session, ready, low))


async def _claim(session: AsyncSession, blocking: Blocking, draft_id: UUID | None = None) -> list[Any]:
    request = SendRequest(draft_id or blocking.ids["app.email_drafts"], NOW, uuid4())
    return await service.claim_drafts(session, blocking.workspace_id, [request])
