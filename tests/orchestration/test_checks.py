"""Tests of the cross checks, condition by condition."""

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
from tests.orchestration.sync_run import evaluate

pytestmark = pytest.mark.filterwarnings("default")  # Dagster's own deprecations are not ours to fail on

SENT = datetime(2026, 3, 2, 7, tzinfo=UTC)
TICK = timedelta(microseconds=1)
AROUND = (-TICK, timedelta(0), TICK)
"""Just before a time, at it, and just after it."""


class OneMail:
    """One workspace whose only mail was sent to ada@example.test at SENT, by both clocks."""

    def __init__(self, connection: psycopg.Connection, url: str) -> None:
        self.connection, self.database = connection, Database(url=url)
        self.history = History(connection)
        self.workspace = self.history.add_workspace()
        self.sequence = self.history.add_sequence(self.workspace)
        self.message = self.history.add_draft(self.sequence, email="ada@example.test")
        self.history.accept(self.message, SENT)
        connection.execute("UPDATE app.send_attempts SET created_at = %s", [SENT])

    def execute(self, statement: str, *values: object) -> None:
        """Execute one statement."""
        self.connection.execute(statement.encode(), values)

    def suppress(
        self,
        value: str = "ada@example.test",
        *,
        suppressed_at: datetime = SENT - TICK,
        created_at: datetime = SENT - TICK,
        workspace: UUID | None = None,
    ) -> None:
        """Replace all suppressions with this one."""
        self.execute("DELETE FROM app.suppressions")
        kind, reason = ("domain", "domain") if value.startswith("@") else ("email", "manual")
        self.execute(
            "INSERT INTO app.suppressions (account_id, workspace_id, kind, value_hash, reason, source, suppressed_at, "
            "created_at) SELECT account_id, id, %s, app.suppression_hash(account_id, %s), %s, 'test', %s, %s "
            "FROM app.workspaces WHERE id = %s",
            *(kind, value, reason, suppressed_at, created_at, workspace or self.workspace),
        )

    def count_sends(self, days: int = 0) -> int:
        """Return how many sends after a suppression the check finds."""
        return self._count(checks.no_send_after_suppression, days)

    def count_sends_after(self, value: str) -> int:
        """Return how many sends after a suppression of this value the check finds."""
        self.suppress(value)
        return self.count_sends()

    def count_orphans(self, days: int = 0) -> int:
        """Return how many events without a message the check finds."""
        return self._count(checks.no_event_without_message, days)

    def _count(self, check: dg.AssetChecksDefinition, days: int) -> int:
        result = evaluate(check, self.database, days)
        count = int(str(result.metadata["violations"].value))
        assert (result.passed, result.severity) == (count == 0, dg.AssetCheckSeverity.ERROR)
        return count


@pytest.fixture
def one_mail(database_url: str) -> Iterator[OneMail]:
    """Send one mail in a database of its own."""
    with connect(owner_url(database_url)) as connection:
        yield OneMail(connection, database_url)


def test_a_suppression_counts_from_just_after_it(one_mail: OneMail) -> None:
    """A mail claimed at the time of a suppression, by the business or the database clock, does not violate it."""
    by_business, by_database = [], []
    for step in AROUND:
        one_mail.suppress(suppressed_at=SENT + step)
        by_business.append(one_mail.count_sends())
        one_mail.suppress(created_at=SENT + step)
        by_database.append(one_mail.count_sends())
    assert by_business == by_database == [1, 0, 0]


def test_a_suppression_covers_its_address_or_domain_in_its_workspace(one_mail: OneMail) -> None:
    """The address and its domain match in any letter case; another address, domain or workspace does not."""
    other = one_mail.history.add_workspace("Other")
    counts = {
        value: one_mail.count_sends_after(value)
        for value in ("ada@example.test", "ADA@Example.test", "@example.test", "adam@example.test", "@xample.test")
    }
    assert list(counts.values()) == [1, 1, 1, 0, 0]
    one_mail.suppress(workspace=other)
    assert one_mail.count_sends() == 0


def test_suppressions_of_the_account_and_of_parent_domains_are_checked(one_mail: OneMail) -> None:
    """A suppression of the account counts, that of another does not; a domain above only with its subdomains."""
    of_account = "UPDATE app.suppressions SET workspace_id = NULL"
    one_mail.suppress()
    one_mail.execute(of_account)
    assert one_mail.count_sends() == 1
    of_another = "UPDATE app.suppressions SET account_id = (SELECT account_id FROM app.workspaces WHERE id = %s)"
    one_mail.execute(of_another, one_mail.history.add_workspace())
    assert one_mail.count_sends() == 0

    one_mail.execute("UPDATE app.leads SET email = 'ada@mail.example.test'")
    assert one_mail.count_sends_after("@example.test") == 0
    one_mail.execute("UPDATE app.suppressions SET include_subdomains = true")
    assert one_mail.count_sends() == 1


def test_the_recipient_that_everlytic_reports_is_checked(one_mail: OneMail) -> None:
    """The recipient of this attempt in Everlytic's list is checked; without one, the lead's current address is."""
    mailed, current = "old@example.test", "ada@example.test"
    one_mail.execute(
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
        one_mail.execute(f"UPDATE everlytic.transactions SET {change}")
        assert tuple(one_mail.count_sends_after(value) for value in (mailed, current)) == expected


@pytest.mark.parametrize(("outcome", "count"), [("accepted", 1), ("unknown", 1), ("claimed", 1), ("rejected", 0)])
def test_every_mail_that_may_have_been_sent_counts(one_mail: OneMail, outcome: str, count: int) -> None:
    """A claim and a send of unknown outcome count like an accepted one; a rejected one does not."""
    one_mail.suppress()
    one_mail.execute("UPDATE app.send_attempts SET outcome = %s", outcome)
    assert one_mail.count_sends() == count


def test_a_removed_suppression_counts_until_its_removal(one_mail: OneMail) -> None:
    """A mail just after the suppression and just before its removal is found; one at either time is not."""
    counts = []
    for start, end in [(step, timedelta(hours=1)) for step in AROUND] + [
        (-timedelta(hours=1), step) for step in AROUND
    ]:
        one_mail.execute("DELETE FROM app.suppression_removals")
        one_mail.execute(
            "INSERT INTO app.suppression_removals (account_id, workspace_id, kind, value_hash, reason, source, "
            "suppressed_at, removed_because, removed_by, removed_at) SELECT account_id, id, 'email', "
            "app.suppression_hash(account_id, %s), 'manual', 'test', %s, 'a mistake', gen_random_uuid(), %s "
            "FROM app.workspaces WHERE id = %s",
            *("ada@example.test", SENT + start, SENT + end, one_mail.workspace),
        )
        counts.append(one_mail.count_sends())
    assert counts == [1, 0, 0, 0, 0, 1]


def test_an_erased_lead_counts_from_just_after_its_erasure(one_mail: OneMail) -> None:
    """A mail claimed after its lead was erased is found; one at that time or before is not."""
    counts = []
    for step in AROUND:
        one_mail.execute("UPDATE app.leads SET erased_at = %s", SENT + step)
        counts.append(one_mail.count_sends())
    assert counts == [1, 0, 0]


@pytest.mark.parametrize(("outcome", "count"), [("accepted", 0), ("unknown", 0), ("claimed", 0), ("rejected", 1)])
def test_an_event_needs_a_message_that_may_have_been_sent(one_mail: OneMail, outcome: str, count: int) -> None:
    """An event of a rejected send, or of a draft that was not sent, is found; any other is not."""
    one_mail.history.add_event(one_mail.message, "delivered", SENT)
    one_mail.execute("UPDATE app.send_attempts SET outcome = %s", outcome)
    assert one_mail.count_orphans() == count
    one_mail.execute("DELETE FROM app.send_attempts")
    assert one_mail.count_orphans() == 1


def test_a_polled_event_needs_a_draft_of_its_own_workspace(one_mail: OneMail) -> None:
    """A polled event with our draft's id or no id is not found; one with a draft of another workspace is."""
    other = one_mail.history.add_draft(one_mail.history.add_sequence(one_mail.history.add_workspace("Other")))
    counts = []
    for message_id in (str(one_mail.message), None, str(other), "no draft"):
        one_mail.execute("DELETE FROM everlytic.callback_events")
        one_mail.execute(
            "INSERT INTO everlytic.callback_events (workspace_id, event_key, type, message_id, occurred_at, raw) "
            "VALUES (%s, 'k', 'open', %s, %s, '{}')",
            *(one_mail.workspace, message_id, SENT),
        )
        counts.append(one_mail.count_orphans())
    assert counts == [0, 0, 1, 1]


def test_a_lookback_goes_by_the_time_of_recording(one_mail: OneMail) -> None:
    """A lookback of three days finds rows recorded up to three days ago, and no older ones; without one all are found.

    A claim without an outcome has no time of recording and is always found.
    """
    one_mail.suppress()
    one_mail.history.add_event(one_mail.history.add_draft(one_mail.sequence), "opened", SENT)
    one_mail.execute(
        "INSERT INTO everlytic.callback_events (workspace_id, event_key, type, message_id, occurred_at, raw) "
        "VALUES (%s, 'k', 'open', 'no draft', %s, '{}')",
        *(one_mail.workspace, SENT),
    )
    for minutes, count in ((-1, 1), (1, 0)):
        age = timedelta(days=3, minutes=minutes)
        one_mail.execute("UPDATE app.send_attempts SET recorded_at = now() - %s", age)
        one_mail.execute("UPDATE app.email_events SET synced_at = now() - %s", age)
        one_mail.execute("UPDATE everlytic.callback_events SET synced_at = now() - %s", age)
        assert (one_mail.count_sends(3), one_mail.count_orphans(3)) == (count, 2 * count)
        assert (one_mail.count_sends(), one_mail.count_orphans()) == (1, 2)
    one_mail.execute("UPDATE app.send_attempts SET recorded_at = NULL, outcome = 'claimed'")
    assert one_mail.count_sends(3) == 1


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51])
def test_a_check_lists_at_most_fifty_rows(count: int) -> None:
    """The table has a line for each of the first fifty rows; without rows it is the word none."""
    table = checks.format_markdown_table([{"number": number, "name": f"n{number}"} for number in range(count)])
    if not count:
        assert table == "none"
        return
    lines = [f"| {number} | n{number} |" for number in range(min(count, 50))]
    assert table.splitlines() == ["| number | name |", "| --- | --- |", *lines]
