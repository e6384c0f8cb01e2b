"""Tests that an incremental build equals a full build, for all kinds of late rows."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from database.roles import connect, owner_url
from orchestration.defs.dbt.project import DbtProject
from tests.dbt_project.history import History

pytestmark = pytest.mark.filterwarnings("default")  # dbt's own deprecations are not ours to fail on

MODELS = ["--exclude-resource-type", "test", "unit_test"]
TABLES = (
    "intermediate.int_messages__engagement",
    "intermediate.int_step_days__engagement",
    "intermediate.int_steps__engagement",
    "analytics.campaigns",
    "analytics.campaign_days",
    "analytics.delivery_stats",
    "analytics.engagement_stats",
    "analytics.unsubscribe_stats",
    "analytics.timeline_events",
    "analytics.workspace_aggregates",
)
BUILD_COLUMNS = ["as_of", "counted_at", "written_by", "complete_before"]
SENT = datetime(2026, 3, 2, 8, tzinfo=UTC)
LATE_FIGURES = "SELECT sent, delivered, opened, replied FROM analytics.campaigns WHERE sequence_id = %s"


def read_tables(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Return all rows of the tables that dbt builds, without the times and transactions of the builds."""
    return {
        table: [
            row[0]
            for row in connection.execute(
                f"SELECT (to_jsonb(t) - ARRAY{BUILD_COLUMNS})::text FROM {table} AS t ORDER BY 1".encode()
            ).fetchall()
        ]
        for table in TABLES
    }


def message_versions(connection: psycopg.Connection, sequence: UUID) -> dict[object, str]:
    """Return the version of each message's row, which changes whenever the row is written."""
    query = "SELECT message_id, xmin::text FROM intermediate.int_messages__engagement WHERE sequence_id = %s"
    return dict(connection.execute(query.encode(), [sequence]).fetchall())


def day_versions(connection: psycopg.Connection, sequence: UUID) -> dict[object, str]:
    """Return the version of the figures of each send day of a sequence."""
    table = "intermediate.int_step_days__engagement"
    query = f"SELECT sent_on, max(xmin::text) FROM {table} WHERE campaign_id = %s GROUP BY sent_on"
    return dict(connection.execute(query.encode(), [str(sequence)]).fetchall())


def test_an_incremental_build_equals_a_full_one(
    history: History, connection: psycopg.Connection, project: DbtProject, history_database_url: str
) -> None:
    """Late events, changed verdicts and new messages give the same marts, and unchanged rows are not written again."""
    database, long_ago = owner_url(history_database_url), datetime.now(UTC) - timedelta(days=30)
    sequence = history.add_sequence(history.add_workspace())
    unchanged, late, bounced, classified, answered = (
        history.add_sent_message(sequence, SENT, arrived=long_ago) for _ in range(5)
    )
    for message in (unchanged, late, classified, answered):
        history.add_event(message, "delivered", SENT + timedelta(minutes=1), arrived=long_ago)
    history.add_event(bounced, "bounced", SENT + timedelta(minutes=1), bounce_type="soft", arrived=long_ago)
    history.add_reply(unchanged, SENT + timedelta(hours=1), arrived=long_ago)
    # A message of another day, without later events.
    other_day = history.add_sent_message(sequence, SENT + timedelta(days=4), arrived=long_ago)
    recent = history.add_sent_message(sequence, SENT)
    history.add_event(recent, "delivered", SENT + timedelta(minutes=1))
    unclassified = history.add_reply(classified, SENT + timedelta(hours=1), automatic=None)
    waiting = history.add_draft(sequence, step=2)
    # The webhook of a send without a response yet: the event arrives before the message counts.
    history.add_event(waiting, "delivered", SENT + timedelta(days=1), arrived=long_ago)
    project.build(database, [*MODELS, "--full-refresh"])
    # Other tests may hold transactions open that are older than this build.
    connection.execute("UPDATE intermediate.int_messages__engagement SET written_by = '3'")
    before = message_versions(connection, sequence)
    assert set(before) == {unchanged, late, bounced, classified, answered, recent, other_day}
    days = day_versions(connection, sequence)

    history.add_event(late, "opened", SENT + timedelta(minutes=2), "human")
    history.add_event(bounced, "delivered", SENT + timedelta(hours=5))
    history.add_reply(answered, SENT + timedelta(days=2))
    connection.execute("UPDATE app.replies SET is_automatic = true WHERE id = %s", [unclassified])
    history.accept(waiting, SENT + timedelta(days=1))
    new = history.add_sent_message(sequence, SENT + timedelta(days=9))
    project.build(database, MODELS)
    after, incremental = message_versions(connection, sequence), read_tables(connection)
    unchanged_days = {key for key, version in day_versions(connection, sequence).items() if days.get(key) == version}
    project.build(database, [*MODELS, "--full-refresh"])

    assert read_tables(connection) == incremental
    assert unchanged_days == {(SENT + timedelta(days=4)).date()}
    assert set(after) - set(before) == {waiting, new}
    changed = {message for message in before if after[message] != before[message]}
    assert changed - {recent} == {late, bounced, classified, answered}
    figures = "SELECT sent, delivered, bounced, opened, replied FROM analytics.campaigns WHERE sequence_id = %s"
    assert connection.execute(figures.encode(), [sequence]).fetchall() == [(9, 7, 0, 1, 2)]


def test_random_arrivals_give_the_same_marts_as_a_full_build(
    history: History, connection: psycopg.Connection, project: DbtProject, history_database_url: str
) -> None:
    """Builds between random arrivals, a moved step, a new tenant and a changed timezone equal one full build."""
    rng, database = random.Random(7), owner_url(history_database_url)
    here = history.add_workspace("Here", "America/New_York")
    sequences = [history.add_sequence(here, f"Sequence {number}") for number in range(2)]
    messages: list[UUID] = []
    for run in range(4):
        if run == 2:
            there = history.add_workspace("There", "Pacific/Auckland")
            sequences.append(history.add_sequence(there))
            connection.execute("UPDATE app.workspaces SET timezone = 'Asia/Kolkata' WHERE id = %s", [here])
        if run == 3:
            connection.execute(
                "UPDATE app.sequence_steps SET step_order = 3 - step_order WHERE sequence_id = %s", [sequences[0]]
            )
        messages += [
            history.add_sent_message(
                rng.choice(sequences), SENT + rng.random() * timedelta(days=9), step=rng.choice((1, 2))
            )
            for _ in range(12)
        ]
        for _ in range(25):
            random_event(history, rng)(rng.choice(messages), SENT + rng.random() * timedelta(days=20))
        project.build(database, MODELS)
    incremental = read_tables(connection)
    project.build(database, [*MODELS, "--full-refresh"])
    assert read_tables(connection) == incremental
    sums = "SELECT sum(sent) FROM analytics.campaigns WHERE sequence_id = ANY(%s)"
    assert connection.execute(sums.encode(), [sequences]).fetchall() == [(len(messages),)]


@pytest.mark.parametrize("source", ["events", "replies", "sends"])
def test_a_row_that_commits_after_a_whole_build_is_counted_by_the_next(
    history: History, connection: psycopg.Connection, project: DbtProject, history_database_url: str, source: str
) -> None:
    """A worker that stands still in its transaction loses nothing, however much was counted while it stood still.

    Its rows carry the time of its transaction's begin, here 17 minutes before the rows that were counted meanwhile.
    """
    database, begin = owner_url(history_database_url), datetime.now(UTC) - timedelta(minutes=17)
    sequence = history.add_sequence(history.add_workspace())
    sent, waiting, beside = history.add_sent_message(sequence, SENT), history.add_draft(sequence), history.add_draft(sequence)
    history.add_event(sent, "delivered", SENT + timedelta(minutes=1))
    project.build(database, MODELS)
    additions: dict[str, Callable[[History], UUID]] = {
        "events": lambda late: late.add_event(sent, "opened", SENT + timedelta(minutes=2), "human", arrived=begin),
        "replies": lambda late: late.add_reply(sent, SENT + timedelta(hours=1), arrived=begin),
        "sends": lambda late: late.accept(waiting, SENT + timedelta(hours=2), begin),
    }
    with connect(database) as frozen, frozen.transaction():
        additions[source](History(frozen))
        history.accept(beside, SENT + timedelta(hours=3))
        history.add_event(beside, "delivered", SENT + timedelta(hours=4))
        history.add_reply(beside, SENT + timedelta(hours=5))
        project.build(database, MODELS)
        assert connection.execute(LATE_FIGURES.encode(), [sequence]).fetchall() == [(2, 2, 0, 1)]
    project.build(database, MODELS)
    expected = {"events": (2, 2, 1, 1), "replies": (2, 2, 0, 2), "sends": (3, 2, 0, 1)}[source]
    assert connection.execute(LATE_FIGURES.encode(), [sequence]).fetchall() == [expected]
    incremental = read_tables(connection)
    project.build(database, [*MODELS, "--full-refresh"])
    assert read_tables(connection) == incremental


def test_a_database_restored_from_a_dump_counts_all_rows_once(
    history: History, connection: psycopg.Connection, project: DbtProject, history_database_url: str
) -> None:
    """Ids of transactions that lie ahead, as those of a dump do, hide no row, and are not read again by every run."""
    database = owner_url(history_database_url)
    sequence = history.add_sequence(history.add_workspace())
    restored = history.add_sent_message(sequence, SENT)
    project.build(database, MODELS)
    ahead = "UPDATE app.send_attempts SET written_by = '90000000000' WHERE draft_id = %s"
    connection.execute("ALTER TABLE app.send_attempts DISABLE TRIGGER stamp_transaction")
    connection.execute(ahead.encode(), [restored])
    connection.execute("ALTER TABLE app.send_attempts ENABLE TRIGGER stamp_transaction")
    for table in ("int_messages__engagement", "int_step_days__engagement"):
        connection.execute(f"UPDATE intermediate.{table} SET complete_before = '90000000001'".encode())

    new = [history.add_sent_message(sequence, SENT)]
    project.build(database, MODELS)
    first = message_versions(connection, sequence)
    new.append(history.add_sent_message(sequence, SENT))
    project.build(database, MODELS)

    assert set(message_versions(connection, sequence)) == {restored, *new}
    assert message_versions(connection, sequence)[restored] == first[restored]
    sent = "SELECT sent FROM analytics.campaigns WHERE sequence_id = %s"
    assert connection.execute(sent.encode(), [sequence]).fetchall() == [(3,)]


def random_event(history: History, rng: random.Random) -> Callable[[UUID, datetime], object]:
    """Return a function that adds a random event or reply to a message."""
    return rng.choice(
        (
            lambda message, at: history.add_event(message, "delivered", at),
            lambda message, at: history.add_event(message, "opened", at, rng.choice(("human", "machine"))),
            lambda message, at: history.add_event(message, "clicked", at, rng.choice(("human", "machine"))),
            lambda message, at: history.add_event(message, "bounced", at, bounce_type=rng.choice(("hard", "soft"))),
            lambda message, at: history.add_event(message, "unsubscribed", at),
            lambda message, at: history.add_reply(message, at, automatic=rng.choice((True, False, None))),
        )
    )
