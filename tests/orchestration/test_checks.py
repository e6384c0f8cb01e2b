"""The checks across sides, condition by condition, on rows of their own."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import dagster as dg
import psycopg
import pytest

from database.roles import connect, owner_url
from orchestration.defs.operations import checks
from orchestration.defs.operations.resources import Database
from tests.dbt_project.history import History
from tests.orchestration.synced import judge

pytestmark = pytest.mark.filterwarnings("default")  # Dagster's own deprecations are not ours to fail on

SENT = datetime(2026, 3, 2, 7, tzinfo=UTC)
TICK = timedelta(microseconds=1)
AROUND = (-TICK, timedelta(0), TICK)
"""Just before a moment, at it, and just after it."""


class World:
    """One workspace whose only mail was sent to ada@example.test at SENT, by either clock."""

    def __init__(self, connection: psycopg.Connection, url: str) -> None:
        self.connection, self.database = connection, Database(url=url)
        self.history = History(connection)
        self.workspace = self.history.workspace()
        self.sequence = self.history.sequence(self.workspace)
        self.message = self.history.draft(self.sequence, email="ada@example.test")
        self.history.accept(self.message, SENT)
        connection.execute("UPDATE app.send_attempts SET created_at = %s", [SENT])

    def do(self, statement: str, *values: object) -> None:
        """Run one statement."""
        self.connection.execute(statement.encode(), values)

    def suppress(
        self,
        value: str = "ada@example.test",
        *,
        suppressed_at: datetime = SENT - TICK,
        created_at: datetime = SENT - TICK,
        workspace: UUID | None = None,
    ) -> None:
        """Replace all suppressions by this one."""
        self.do("DELETE FROM app.suppressions")
        kind, reason = ("domain", "domain") if value.startswith("@") else ("email", "manual")
        self.do(
            "INSERT INTO app.suppressions (workspace_id, kind, value_hash, reason, source, suppressed_at, created_at) "
            "VALUES (%s, %s, app.suppression_hash(%s, %s), %s, 'test', %s, %s)",
            *(workspace or self.workspace, kind, workspace or self.workspace, value, reason),
            *(suppressed_at, created_at),
        )

    def mailed(self, days: int = 0) -> int:
        """How many mails the check says went out after a suppression."""
        return self._count(checks.nobody_mailed_after_suppression, days)

    def mailed_after(self, value: str) -> int:
        """How many mails the check says went out after a suppression of this value."""
        self.suppress(value)
        return self.mailed()

    def orphans(self, days: int = 0) -> int:
        """How many events the check says belong to no message."""
        return self._count(checks.no_event_without_message, days)

    def _count(self, check: dg.AssetChecksDefinition, days: int) -> int:
        result = judge(check, self.database, days)
        count = int(str(result.metadata["found"].value))
        assert (result.passed, result.severity) == (count == 0, dg.AssetCheckSeverity.ERROR)
        return count


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """Send the one mail in a database of its own."""
    with connect(owner_url(database_url)) as connection:
        yield World(connection, database_url)


def test_a_suppression_counts_from_just_after_it(world: World) -> None:
    """A mail claimed at the moment of a suppression, by the business or the database's clock, was not against it."""
    by_business, by_database = [], []
    for step in AROUND:
        world.suppress(suppressed_at=SENT + step)
        by_business.append(world.mailed())
        world.suppress(created_at=SENT + step)
        by_database.append(world.mailed())
    assert by_business == by_database == [1, 0, 0]


def test_the_address_the_domain_and_no_other_workspace_count(world: World) -> None:
    """The address and its domain, in any case, are found; another address, domain or workspace is not."""
    other = world.history.workspace("Other")
    found = {
        value: world.mailed_after(value)
        for value in ("ada@example.test", "ADA@Example.test", "@example.test", "adam@example.test", "@xample.test")
    }
    assert list(found.values()) == [1, 1, 1, 0, 0]
    world.suppress(workspace=other)
    assert world.mailed() == 0


def test_the_address_is_the_one_that_was_mailed(world: World) -> None:
    """What Everlytic says it mailed counts before the lead's present address, where it says so of this very attempt."""
    mailed, present = "old@example.test", "ada@example.test"
    world.do(
        "INSERT INTO everlytic.transactions (workspace_id, transaction_id, message_id, recipient, raw) "
        "SELECT workspace_id, everlytic_transaction_id, draft_id::text, %s, '{}' FROM app.send_attempts",
        mailed,
    )
    for change, expected in (
        ("recipient = recipient", (1, 0)),
        ("recipient = ''", (0, 1)),
        ("recipient = NULL", (0, 1)),
        (f"recipient = '{mailed}', message_id = 'another'", (0, 1)),
        ("transaction_id = 'another', message_id = (SELECT draft_id::text FROM app.send_attempts)", (0, 1)),
    ):
        world.do(f"UPDATE everlytic.transactions SET {change}")
        assert tuple(world.mailed_after(value) for value in (mailed, present)) == expected


@pytest.mark.parametrize(("outcome", "count"), [("accepted", 1), ("unknown", 1), ("claimed", 1), ("rejected", 0)])
def test_every_mail_that_may_have_gone_out_counts(world: World, outcome: str, count: int) -> None:
    """A claim and a send of unknown outcome are found like an accepted one; a refused one is not."""
    world.suppress()
    world.do("UPDATE app.send_attempts SET outcome = %s", outcome)
    assert world.mailed() == count


def test_a_removed_suppression_counts_between_its_two_moments(world: World) -> None:
    """A mail just after the suppression and just before its removal is found; one at either moment is not."""
    found = []
    for start, end in [(step, timedelta(hours=1)) for step in AROUND] + [
        (-timedelta(hours=1), step) for step in AROUND
    ]:
        world.do("DELETE FROM app.suppression_removals")
        world.do(
            "INSERT INTO app.suppression_removals (workspace_id, kind, value_hash, reason, source, suppressed_at, "
            "removed_because, removed_by, removed_at) VALUES (%s, 'email', app.suppression_hash(%s, %s), 'manual', "
            "'test', %s, 'a mistake', gen_random_uuid(), %s)",
            *(world.workspace, world.workspace, "ada@example.test", SENT + start, SENT + end),
        )
        found.append(world.mailed())
    assert found == [1, 0, 0, 0, 0, 1]


def test_an_erased_lead_counts_from_just_after_its_erasure(world: World) -> None:
    """A mail claimed after its lead was erased is found, one at that moment or before is not."""
    found = []
    for step in AROUND:
        world.do("UPDATE app.leads SET erased_at = %s", SENT + step)
        found.append(world.mailed())
    assert found == [1, 0, 0]


@pytest.mark.parametrize(("outcome", "count"), [("accepted", 0), ("unknown", 0), ("claimed", 0), ("rejected", 1)])
def test_an_event_needs_a_message_that_may_have_been_sent(world: World, outcome: str, count: int) -> None:
    """An event of a refused send, or of a draft that nobody sent, is found; of any other it is not."""
    world.history.event(world.message, "delivered", SENT)
    world.do("UPDATE app.send_attempts SET outcome = %s", outcome)
    assert world.orphans() == count
    world.do("DELETE FROM app.send_attempts")
    assert world.orphans() == 1


def test_a_polled_event_needs_a_draft_of_its_own_workspace(world: World) -> None:
    """A polled event that names our draft, or no mail at all, is not found; one that names another's draft is."""
    other = world.history.draft(world.history.sequence(world.history.workspace("Other")))
    found = []
    for message_id in (str(world.message), None, str(other), "nobody"):
        world.do("DELETE FROM everlytic.callback_events")
        world.do(
            "INSERT INTO everlytic.callback_events (workspace_id, event_key, type, message_id, occurred_at, raw) "
            "VALUES (%s, 'k', 'open', %s, %s, '{}')",
            *(world.workspace, message_id, SENT),
        )
        found.append(world.orphans())
    assert found == [0, 0, 1, 1]


def test_a_look_at_the_last_days_goes_by_when_something_was_recorded(world: World) -> None:
    """What was recorded a minute less than three days ago is found by a look at three days; a minute more is not.

    A claim without an outcome has no such time and is always found; a look at everything finds all of them.
    """
    world.suppress()
    world.history.event(world.history.draft(world.sequence), "opened", SENT)
    world.do(
        "INSERT INTO everlytic.callback_events (workspace_id, event_key, type, message_id, occurred_at, raw) "
        "VALUES (%s, 'k', 'open', 'nobody', %s, '{}')",
        *(world.workspace, SENT),
    )
    for minutes, count in ((-1, 1), (1, 0)):
        age = timedelta(days=3, minutes=minutes)
        world.do("UPDATE app.send_attempts SET recorded_at = now() - %s", age)
        world.do("UPDATE app.email_events SET synced_at = now() - %s", age)
        world.do("UPDATE everlytic.callback_events SET synced_at = now() - %s", age)
        assert (world.mailed(3), world.orphans(3)) == (count, 2 * count)
        assert (world.mailed(), world.orphans()) == (1, 2)
    world.do("UPDATE app.send_attempts SET recorded_at = NULL, outcome = 'claimed'")
    assert world.mailed(3) == 1


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51])
def test_a_check_shows_fifty_rows(count: int) -> None:
    """The table has a line for each row up to the fiftieth, the first ones first, and says so where there are none."""
    table = checks.markdown([{"number": number, "name": f"n{number}"} for number in range(count)])
    if not count:
        assert table == "none"
        return
    lines = [f"| {number} | n{number} |" for number in range(min(count, 50))]
    assert table.splitlines() == ["| number | name |", "| --- | --- |", *lines]
