"""An incremental build against a full one, over everything that can arrive late."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from database.roles import owner_url
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
SENT = datetime(2026, 3, 2, 8, tzinfo=UTC)


def contents(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Return every row of the tables that dbt builds, without the times of the builds."""
    return {
        table: [
            row[0]
            for row in connection.execute(
                f"SELECT (to_jsonb(t) - ARRAY['as_of', 'counted_at'])::text FROM {table} AS t ORDER BY 1".encode()
            ).fetchall()
        ]
        for table in TABLES
    }


def versions(connection: psycopg.Connection, sequence: UUID) -> dict[object, str]:
    """Return the version of each message's row: it changes when the row is written again, even with the same values."""
    query = "SELECT message_id, xmin::text FROM intermediate.int_messages__engagement WHERE sequence_id = %s"
    return dict(connection.execute(query.encode(), [sequence]).fetchall())


def day_versions(connection: psycopg.Connection, sequence: UUID) -> dict[object, str]:
    """Return the version of the figures of each day on which mail of a sequence was sent."""
    table = "intermediate.int_step_days__engagement"
    query = f"SELECT sent_on, max(xmin::text) FROM {table} WHERE campaign_id = %s GROUP BY sent_on"
    return dict(connection.execute(query.encode(), [str(sequence)]).fetchall())


def test_an_incremental_build_equals_a_full_one(
    history: History, connection: psycopg.Connection, project: DbtProject, history_database_url: str
) -> None:
    """Late events, second thoughts and new mail give the same marts either way, and settled rows are not read again."""
    database, long_ago = owner_url(history_database_url), datetime.now(UTC) - timedelta(days=30)
    sequence = history.sequence(history.workspace())
    settled, late, overtaken, judged, answered = (history.sent(sequence, SENT, arrived=long_ago) for _ in range(5))
    for message in (settled, late, judged, answered):
        history.event(message, "delivered", SENT + timedelta(minutes=1), arrived=long_ago)
    history.event(overtaken, "bounced", SENT + timedelta(minutes=1), bounce_type="soft", arrived=long_ago)
    history.reply(settled, SENT + timedelta(hours=1), arrived=long_ago)
    # A day on which nothing new will happen.
    elsewhere = history.sent(sequence, SENT + timedelta(days=4), arrived=long_ago)
    # The newest arrivals: the next run looks a little behind them, and not as far as what arrived a month ago.
    recent = history.sent(sequence, SENT)
    history.event(recent, "delivered", SENT + timedelta(minutes=1))
    unjudged = history.reply(judged, SENT + timedelta(hours=1), automatic=None)
    waiting = history.draft(sequence, step=2)
    # The webhook of a send whose answer is still out: the event is here before the message counts.
    history.event(waiting, "delivered", SENT + timedelta(days=1), arrived=long_ago)
    project.build(database, [*MODELS, "--full-refresh"])
    before = versions(connection, sequence)
    assert set(before) == {settled, late, overtaken, judged, answered, recent, elsewhere}
    days = day_versions(connection, sequence)

    history.event(late, "opened", SENT + timedelta(minutes=2), "human")
    history.event(overtaken, "delivered", SENT + timedelta(hours=5))
    history.reply(answered, SENT + timedelta(days=2))
    connection.execute("UPDATE app.replies SET is_automatic = true WHERE id = %s", [unjudged])
    history.accept(waiting, SENT + timedelta(days=1))
    fresh = history.sent(sequence, SENT + timedelta(days=9))
    project.build(database, MODELS)
    after, incremental = versions(connection, sequence), contents(connection)
    quiet_day = {key for key, version in day_versions(connection, sequence).items() if days.get(key) == version}
    project.build(database, [*MODELS, "--full-refresh"])

    assert contents(connection) == incremental
    assert quiet_day == {(SENT + timedelta(days=4)).date()}
    assert set(after) - set(before) == {waiting, fresh}
    touched = {message for message in before if after[message] != before[message]}
    assert touched == {late, overtaken, judged, answered, recent}
    figures = "SELECT sent, delivered, bounced, opened, replied FROM analytics.campaigns WHERE sequence_id = %s"
    assert connection.execute(figures.encode(), [sequence]).fetchall() == [(9, 7, 0, 1, 2)]


def test_whatever_arrives_in_whatever_order_is_counted_as_if_at_once(
    history: History, connection: psycopg.Connection, project: DbtProject, history_database_url: str
) -> None:
    """Runs between arrivals drawn at random, a step moved, a tenant that joins, one whose days move: all the same."""
    drawn, database = random.Random(7), owner_url(history_database_url)
    here = history.workspace("Here", "America/New_York")
    sequences = [history.sequence(here, f"Sequence {number}") for number in range(2)]
    messages: list[UUID] = []
    for run in range(4):
        if run == 2:
            there = history.workspace("There", "Pacific/Auckland")
            sequences.append(history.sequence(there))
            connection.execute("UPDATE app.workspaces SET timezone = 'Asia/Kolkata' WHERE id = %s", [here])
        if run == 3:
            connection.execute(
                "UPDATE app.sequence_steps SET step_order = 3 - step_order WHERE sequence_id = %s", [sequences[0]]
            )
        messages += [
            history.sent(drawn.choice(sequences), SENT + drawn.random() * timedelta(days=9), step=drawn.choice((1, 2)))
            for _ in range(12)
        ]
        for _ in range(25):
            happen(history, drawn)(drawn.choice(messages), SENT + drawn.random() * timedelta(days=20))
        project.build(database, MODELS)
    incremental = contents(connection)
    project.build(database, [*MODELS, "--full-refresh"])
    assert contents(connection) == incremental
    sums = "SELECT sum(sent) FROM analytics.campaigns WHERE sequence_id = ANY(%s)"
    assert connection.execute(sums.encode(), [sequences]).fetchall() == [(len(messages),)]


def happen(history: History, drawn: random.Random) -> Callable[[UUID, datetime], object]:
    """Return something that may happen to a message."""
    return drawn.choice(
        (
            lambda message, at: history.event(message, "delivered", at),
            lambda message, at: history.event(message, "opened", at, drawn.choice(("human", "machine"))),
            lambda message, at: history.event(message, "clicked", at, drawn.choice(("human", "machine"))),
            lambda message, at: history.event(message, "bounced", at, bounce_type=drawn.choice(("hard", "soft"))),
            lambda message, at: history.event(message, "unsubscribed", at),
            lambda message, at: history.reply(message, at, automatic=drawn.choice((True, False, None))),
        )
    )
