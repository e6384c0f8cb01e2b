"""Statements where business time is a year away from the database's own clock: each comparison by its own clock."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.usage import repository as usage
from api.accounts.workspaces import repository as workspaces
from api.delivery.events import repository as events
from api.delivery.sending import repository as sending
from api.delivery.sending.service import record_lost_claim
from api.delivery.unresolved_sends import repository as outcomes
from api.delivery.unresolved_sends import service as unknown_sends
from api.http.errors import Conflict
from api.http.idempotency import repository as idempotency
from api.imports import service as imports
from api.imports.repository import uploads as import_files
from api.live import repository as live
from api.outreach.drafts import repository as drafts
from api.outreach.enrollment_status import repository as status_repository
from api.people.suppressions import repository as suppressions
from database.engine import create_pool
from database.roles import connect, owner_url
from domain.enrollment import EnrollmentEvent
from domain.suppression import SuppressionReason, SuppressionScope
from tests.business_clock import YEAR
from tests.database.rows import ACCOUNTS, WORKSPACES, Ids, fill_every_table

pytestmark = pytest.mark.anyio

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
IS_NOW = "BETWEEN now() - interval '1 minute' AND now()"


@dataclass(frozen=True, slots=True)
class World:
    """One row of every table of a workspace whose business time is `now`."""

    now: datetime
    ids: Ids
    session: AsyncSession
    owner: psycopg.Connection

    @property
    def workspace(self) -> UUID:
        """The workspace's id."""
        return self.ids[WORKSPACES]

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as the owner and return its rows, if it has any."""
        cursor = self.owner.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection]:
    """The owner of the tables."""
    with connect(owner_url(database_url)) as connection:
        yield connection


@pytest.fixture(params=[YEAR, -YEAR], ids=["ahead", "behind"])
async def world(database_url: str, owner: psycopg.Connection, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A workspace with one row of every table, and a session that sees all of them."""
    ids = fill_every_table(owner, "acme")
    pool = create_pool(owner_url(database_url), size=1)
    async with AsyncSession(pool) as session:
        yield World(datetime.now(UTC) + request.param, ids, session, owner)
    await pool.dispose()


async def test_a_draft_is_sent_and_scored_in_business_time(world: World) -> None:
    """A draft is due at its own time, or at the business time where that has passed; its score is due at the latter."""
    draft = world.ids["app.email_drafts"]
    update = "UPDATE app.email_drafts SET send_at = %s, generation = jsonb_build_object('trace_id', 't')"
    for send_at, due in ((world.now - HOUR, world.now), (None, world.now), (world.now + HOUR, world.now + HOUR)):
        world.run(update, send_at)
        sends = drafts.select_send_jobs(world.workspace, [draft], world.now)
        scores = drafts.select_score_jobs(world.workspace, [draft], {}, world.now)
        assert [row[1] for row in await world.session.execute(sends)] == [due]
        assert [row[1] for row in await world.session.execute(scores)] == [world.now]


async def test_an_idempotency_key_is_kept_for_a_real_day(world: World) -> None:
    """After 23 real hours a key is taken and is not forgotten; after 25 hours it is free, and is forgotten."""
    account = world.ids[ACCOUNTS]
    ((user,),) = world.run("SELECT id FROM app.users")
    age = "UPDATE app.idempotency_keys SET user_id = %s, account_id = %s, key = 'k', created_at = now() - %s"
    for hours, is_free in ((23, False), (25, True)):
        world.run(age, user, account, hours * HOUR)
        await idempotency.delete_expired(world.session, account)
        (left,) = world.run("SELECT count(*) FROM app.idempotency_keys")
        assert await idempotency.insert_key(world.session, account, user, "k", "print") is None or is_free
        await world.session.rollback()
        taken = await idempotency.insert_key(world.session, account, user, "k", "print")
        await world.session.commit()
        assert left == (1,)
        assert (taken is not None) is is_free
    assert world.run(f"SELECT created_at {IS_NOW} FROM app.idempotency_keys") == [(True,)]
    world.run(age, user, account, 25 * HOUR)
    await idempotency.delete_expired(world.session, account)
    await world.session.commit()
    assert world.run("SELECT count(*) FROM app.idempotency_keys") == [(0,)]


async def test_a_budget_is_of_the_business_day_and_a_reservation_of_real_seconds(world: World) -> None:
    """Tokens count on the workspace's own business day; reserved ones until the model must have answered."""
    world.run("UPDATE app.workspaces SET timezone = 'Pacific/Kiritimati'")
    world.run("TRUNCATE app.ai_reservations, app.ai_usage")
    today = await usage.find_today(world.session, world.workspace, world.now)
    assert today.day == (world.now + 14 * HOUR).date()

    await usage.add_usage(world.session, world.workspace, [usage.Count(today.day, "w", "m", tokens_in=5)])
    await usage.reserve_tokens(world.session, world.workspace, [70], seconds=60)
    await world.session.commit()
    world.run(
        "INSERT INTO app.ai_reservations (workspace_id, tokens, expires_at) VALUES (%s, 900, now() - interval '1 s')",
        world.workspace,
    )

    assert await usage.count_spent_tokens(world.session, world.workspace, today.day) == 75
    await usage.reserve_tokens(world.session, world.workspace, [], seconds=60)
    await world.session.commit()
    assert world.run("SELECT tokens FROM app.ai_reservations") == [(70,)]


async def test_a_claim_is_lost_after_a_business_hour(world: World) -> None:
    """A claim of two business hours ago is lost, one of half an hour ago is not; its record has the real time."""
    world.run("DELETE FROM app.scheduled_jobs")
    for ago, lost in ((2 * HOUR, 1), (HOUR / 2, 0)):
        world.run("UPDATE app.send_attempts SET outcome = 'claimed', claimed_at = %s", world.now - ago)
        found = await unknown_sends.list_lost_claims(world.session, world.workspace, world.now)
        assert len(found) == lost

    draft = world.ids["app.email_drafts"]
    await record_lost_claim(world.session, world.workspace, draft, world.now)
    await world.session.commit()
    assert world.run(f"SELECT outcome, recorded_at {IS_NOW} FROM app.send_attempts") == [("unknown", True)]


async def test_an_unknown_send_is_looked_up_in_business_time(world: World) -> None:
    """A send claimed within the wait is looked up again; a look-up notes the business time."""
    world.run("DELETE FROM app.scheduled_jobs")
    world.run("UPDATE app.send_attempts SET outcome = 'unknown', claimed_at = %s", world.now - HOUR)
    draft = world.ids["app.email_drafts"]
    for since, watched in ((2 * HOUR, [draft]), (HOUR / 2, [])):
        found = await outcomes.list_drafts_without_lookup(
            world.session, world.workspace, "reconcile_send", claimed_after=world.now - since
        )
        assert list(found) == watched

    await outcomes.record_failed_lookup(world.session, world.workspace, draft, world.now)
    await world.session.commit()
    assert world.run("SELECT looked_up_at FROM app.send_attempts") == [(world.now,)]


async def test_a_forgotten_draft_is_due_by_business_time(world: World) -> None:
    """A reviewed draft that no job sends is found once its business time has come, and not a minute before."""
    world.run("DELETE FROM app.scheduled_jobs")
    world.run("DELETE FROM app.send_attempts")
    world.run("UPDATE app.lead_enrollments SET status = 'active'")
    world.run("UPDATE app.sequences SET status = 'Active'")
    due = "UPDATE app.email_drafts SET status = 'reviewed', sequence_id = %s, send_at = %s"
    for later, expected in ((-MINUTE, 1), (MINUTE, 0)):
        world.run(due, world.ids["app.sequences"], world.now + later)
        found = await outcomes.list_sequences_to_requeue(
            world.session, world.workspace, send_job="send_email", draft_job="generate_draft", now=world.now
        )
        assert len(found) == expected


async def test_a_file_is_kept_for_thirty_business_days(world: World) -> None:
    """A minute before its end a file can be used and is not deleted; at its end it is refused, and deleted."""
    import_id = world.ids["app.lead_imports"]
    state = "UPDATE app.lead_imports SET state = 'mapped', expires_at = %s"
    world.run(state, world.now + MINUTE)
    found = await import_files.find_import(world.session, world.workspace, import_id)
    assert found is not None
    await imports.require_stored_file(world.session, found, world.now)
    assert await imports.expire_import(world.session, world.workspace, import_id, world.now) == world.now + MINUTE
    await world.session.rollback()

    world.run(state, world.now)
    found = await import_files.find_import(world.session, world.workspace, import_id)
    assert found is not None
    with pytest.raises(Conflict):
        await imports.require_stored_file(world.session, found, world.now)
    assert await imports.expire_import(world.session, world.workspace, import_id, world.now) is None
    assert not await import_files.has_file(world.session, world.workspace, import_id)


async def test_a_suppression_begins_and_ends_in_business_time(world: World) -> None:
    """A suppression and its removal have the business time, and the rows themselves the database's."""
    world.run("DELETE FROM app.suppressions")
    world.run("DELETE FROM app.suppression_removals")
    reason = SuppressionReason.MANUAL
    scope = SuppressionScope.WORKSPACE
    await suppressions.add_values(
        world.session,
        world.workspace,
        ["a@b.example"],
        kind="email",
        reason=reason,
        source="user",
        at=world.now,
        scope=scope,
    )
    await world.session.commit()
    rows = world.run(f"SELECT id, suppressed_at, created_at {IS_NOW} FROM app.suppressions")
    assert [row[1:] for row in rows] == [(world.now, True)]

    await suppressions.delete_suppression(
        world.session,
        world.workspace,
        rows[0][0],
        is_admin=True,
        because="a mistake",
        actor=UUID(int=0),
        now=world.now + SECOND,
    )
    await world.session.commit()
    removed = world.run("SELECT suppressed_at, removed_at FROM app.suppression_removals")
    assert removed == [(world.now, world.now + SECOND)]


async def test_an_enrollment_ends_in_business_time(world: World) -> None:
    """A stopped enrollment and its history have the business time."""
    enrollment = world.ids["app.lead_enrollments"]
    world.run("UPDATE app.lead_enrollments SET status = 'active'")
    world.run("DELETE FROM app.enrollment_events")
    event = EnrollmentEvent.STOPPED
    await status_repository.apply_event(
        world.session, world.workspace, event, cause="c", now=world.now, ids=[enrollment]
    )
    await world.session.commit()
    assert world.run("SELECT completed_at FROM app.lead_enrollments") == [(world.now,)]
    assert world.run("SELECT occurred_at FROM app.enrollment_events") == [(world.now,)]


async def test_deferred_sends_are_woken_in_business_time(world: World) -> None:
    """Sends that were put off may run at the business time; what is due already and what is for later stays."""
    world.run("DELETE FROM app.scheduled_jobs")
    add = (
        "INSERT INTO app.scheduled_jobs (workspace_id, job_type, scheduled_for, run_at)"
        " VALUES (%s, 'send_email', %s, %s)"
    )
    hour = world.now + HOUR
    for scheduled_for, run_at in ((world.now - DAY, hour), (world.now - DAY, world.now - MINUTE), (hour, hour)):
        world.run(add, world.workspace, scheduled_for, run_at)
    run_ats = "SELECT run_at FROM app.scheduled_jobs ORDER BY run_at"

    await workspaces.requeue_sends(world.session, world.workspace, world.now)
    await world.session.commit()
    assert world.run(run_ats) == [(world.now - MINUTE,), (world.now,), (hour,)]

    await workspaces.wake_sends(world.session, world.workspace, hour, world.now)
    await world.session.commit()
    assert world.run(run_ats) == [(world.now - MINUTE,), (world.now,), (world.now,)]

    await workspaces.cancel_jobs(world.session, world.workspace, world.now, "gone")
    await world.session.commit()
    assert world.run("SELECT DISTINCT completed_at FROM app.scheduled_jobs") == [(world.now,)]


async def test_provider_rows_are_applied_in_business_time(world: World) -> None:
    """A push and a polled event note the business time at which they were applied."""
    delivery = world.ids["everlytic.webhook_deliveries"]
    ((key,),) = world.run("SELECT event_key FROM everlytic.callback_events")
    await events.mark_deliveries_applied(world.session, world.workspace, {delivery: None}, world.now)
    await events.mark_callbacks_applied(world.session, world.workspace, {key: None}, world.now)
    await world.session.commit()
    for table in ("webhook_deliveries", "callback_events"):
        assert world.run(f"SELECT applied_at FROM everlytic.{table}") == [(world.now,)]


async def test_a_claim_and_a_send_have_business_times_and_their_record_the_real_one(world: World) -> None:
    """The claim has the business time, and so has the sent draft; when that was recorded is the database's time."""
    draft = world.ids["app.email_drafts"]
    world.run("DELETE FROM app.send_attempts")
    world.run(
        "UPDATE app.email_drafts SET status = 'reviewed', lead_id = (SELECT id FROM app.leads), "
        "sequence_id = (SELECT id FROM app.sequences)"
    )
    (candidate,) = await sending.list_candidates(world.session, world.workspace, [draft])
    workspace = await workspaces.find_workspace(world.session, world.workspace)
    assert workspace is not None
    claimed = await sending.insert_claims(world.session, workspace, [(candidate, world.ids["app.leads"])], world.now)
    assert claimed == {draft}
    await world.session.commit()
    assert world.run("SELECT claimed_at, recorded_at FROM app.send_attempts") == [(world.now, None)]

    await sending.record_acceptances(world.session, world.workspace, {draft: "tx"}, world.now + SECOND)
    await world.session.commit()
    assert world.run("SELECT sent_at FROM app.email_drafts") == [(world.now + SECOND,)]
    assert world.run(f"SELECT recorded_at {IS_NOW} FROM app.send_attempts") == [(True,)]


async def test_changes_are_forgotten_by_real_time(world: World) -> None:
    """A change of 61 real minutes ago is forgotten, and one of now is kept."""
    world.run("DELETE FROM app.changes")
    world.run("UPDATE app.leads SET company = 'old'")
    world.run("UPDATE app.changes SET changed_at = now() - interval '61 minutes'")
    world.run("UPDATE app.leads SET company = 'new'")
    await live.prune_changes(world.session, 3600)
    await world.session.commit()
    assert world.run(f"SELECT DISTINCT changed_at {IS_NOW} FROM app.changes") == [(True,)]
