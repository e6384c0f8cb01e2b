"""Tests of the marts against figures computed by hand, read with the API's role."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from database.roles import APP_ROLE, connect, owner_url, role_url
from orchestration.defs.dbt.project import DbtProject
from tests.business_clock import BUSINESS_NOW
from tests.dbt_project.history import History

pytestmark = pytest.mark.filterwarnings("default")  # dbt's own deprecations are not ours to fail on

STEP_MARTS = ("delivery_stats", "engagement_stats", "unsubscribe_stats")
MARTS = ("campaigns", *STEP_MARTS, "timeline_events", "workspace_aggregates")


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """Return a time in March 2026, UTC."""
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


@dataclass(frozen=True)
class BuiltHistory:
    """The workspaces and campaigns of the history, and dbt's results."""

    here: UUID
    there: UUID
    spring: UUID
    empty: UUID
    other: UUID
    edge_cases: "EdgeCases"
    results: list[Any]


@dataclass(frozen=True)
class EdgeCases:
    """A workspace with a message for each condition of the models: the ids of the messages by name."""

    workspace: UUID
    deleted: UUID
    """A deleted sequence that has sent a message of its first step."""
    messages: dict[str, UUID]


def write_edge_cases(history: History, connection: psycopg.Connection) -> EdgeCases:
    """Write a message for each condition of the models; times are minutes after 08:00."""
    workspace = history.add_workspace("Edge")
    sequence, deleted, unsent = (history.add_sequence(workspace, name) for name in ("Edges", "Ended", "Unsent"))
    names = ("machine first", "person first", "soft after delivery", "soft with delivery", "soft before complaint",
             "soft between replies", "unread", "unsubscribed and bounced", "unsubscribed", "hard before reply")  # fmt: skip
    messages = {name: history.add_sent_message(sequence, at(2, 8)) for name in names}

    def add_events(name: str, *kinds: str) -> None:
        """Add an event per minute to a message, each given as `kind` or `kind verdict`."""
        for minute, kind in enumerate(kinds, start=1):
            type_, _, verdict = kind.partition(" ")
            if type_ == "bounced":
                history.add_event(messages[name], type_, at(2, 8, minute), bounce_type=verdict)
            else:
                history.add_event(messages[name], type_, at(2, 8, minute), verdict or None)

    add_events("machine first", "delivered", "clicked machine", "clicked human", "opened machine", "opened human",
               "opened human", "clicked machine", "clicked machine")  # fmt: skip
    add_events("person first", "delivered", "opened human", "opened machine", "clicked human", "clicked machine")
    add_events("soft after delivery", "delivered", "delivered", "bounced soft")
    add_events("soft before complaint", "bounced soft", "complained")
    add_events("soft between replies", "bounced soft", "bounced soft", "bounced soft", "bounced soft")
    for minute, is_automatic in ((1, True), (3, False), (6, True)):
        history.add_reply(messages["soft between replies"], at(2, 8, minute), automatic=is_automatic)
    add_events("soft with delivery", "delivered")
    history.add_event(messages["soft with delivery"], "bounced", at(2, 8, 1), bounce_type="soft")
    add_events("unread", "delivered")
    add_events("unsubscribed and bounced", "delivered", "opened human", "unsubscribed", "bounced hard")
    add_events("hard before reply", "bounced hard")
    history.add_reply(messages["hard before reply"], at(2, 8, 5))
    add_events("unsubscribed", "opened human", "unsubscribed", "delivered")
    history.add_sent_message(deleted, at(2, 8))
    connection.execute("UPDATE app.sequences SET deleted_at = now() WHERE id = ANY(%s)", [[deleted, unsent]])
    # A bulk email with the same id as one of another workspace, whose report has no bounces.
    connection.execute(
        "INSERT INTO everlytic.campaign_reports (workspace_id, email_id, reported_on, name, raw) "
        """VALUES (%s, '77', '2026-03-01', 'Ours', '{"status": "sent", "figures": {"sent": 5}}')""",
        [workspace],
    )
    return EdgeCases(workspace, deleted, messages)


@pytest.fixture(scope="module")
def built_history(
    history: History, connection: psycopg.Connection, project: DbtProject, history_database_url: str
) -> BuiltHistory:
    """Write a history of two tenants, and build the whole project with all tests and unit tests."""
    here, there = history.add_workspace("Here"), history.add_workspace("There", "America/New_York")
    history.add_workspace("Newcomer")
    spring, empty, other = (
        history.add_sequence(here),
        history.add_sequence(here, "Empty"),
        history.add_sequence(there, "Other"),
    )
    gone = history.add_sequence(here, "Gone")
    connection.execute("UPDATE app.sequences SET deleted_at = now() WHERE id = %s", [gone])

    # Step 1 on 2 March, four messages. One is opened by a machine and a person, clicked, and gets a personal reply.
    read = history.add_sent_message(spring, at(2, 8))
    history.add_event(read, "delivered", at(2, 8, 1))
    history.add_event(read, "opened", at(2, 8, 1), "machine")
    history.add_event(read, "opened", at(2, 9), "human")
    history.add_event(read, "opened", at(3, 9), "human")
    history.add_event(read, "clicked", at(2, 9, 5), "human")
    history.add_reply(read, at(3, 10))
    # One is sent in the evening, which is the next day in Johannesburg, and unsubscribed from three days later.
    left = history.add_sent_message(spring, at(2, 22, 30))
    history.add_event(left, "delivered", at(2, 22, 31))
    history.add_event(left, "opened", at(5, 21), "machine")
    history.add_event(left, "unsubscribed", at(5, 21, 30))
    # One is delivered, opened by a scanner, and bounces a day later.
    bounced = history.add_sent_message(spring, at(2, 8))
    history.add_event(bounced, "delivered", at(2, 8, 1))
    history.add_event(bounced, "opened", at(2, 8, 1), "machine")
    history.add_event(bounced, "bounced", at(3, 8), bounce_type="hard")
    # One is delayed by a soft bounce; its reply is an out-of-office notice.
    delayed = history.add_sent_message(spring, at(2, 8))
    history.add_event(delayed, "bounced", at(2, 8, 1), bounce_type="soft")
    history.add_event(delayed, "delivered", at(2, 10))
    history.add_reply(delayed, at(2, 10, 1), automatic=True)
    # Step 2: one message without events, one that the provider rejected.
    history.add_sent_message(spring, at(6, 8), step=2)
    rejected = history.add_draft(spring, step=2)
    connection.execute(
        "INSERT INTO app.send_attempts (workspace_id, draft_id, claimed_at, outcome) "
        f"VALUES (%s, %s, {BUSINESS_NOW}, 'rejected')",
        [here, rejected],
    )
    # One message of the other workspace, and a bulk email whose report has no complaints.
    history.add_sent_message(other, at(2, 3))
    connection.execute(
        """
        INSERT INTO everlytic.campaign_reports (workspace_id, email_id, reported_on, name, raw) VALUES
        (%(here)s, '77', '2026-03-01', 'News', '{"status": "sending", "figures": {"sent": 50, "unique_opens": 1}}'),
        (%(here)s, '77', '2026-03-02', 'News', '{"status": "sent", "sent_at": "2026-03-01T06:00:00+00:00", "figures":
          {"sent": 100, "delivered": 90, "hard_bounces": 4, "soft_bounces": 6, "opens": 60, "unique_opens": 45,
           "unsubscribes": 9, "complaints": null}}')
        """,
        {"here": here},
    )
    edge_cases = write_edge_cases(history, connection)
    return BuiltHistory(here, there, spring, empty, other, edge_cases, project.build(owner_url(history_database_url)))


@pytest.fixture
def app(history_database_url: str, built_history: BuiltHistory) -> Iterator[psycopg.Connection]:
    """Connect as the API does, in the workspace `here`."""
    with connect(role_url(owner_url(history_database_url), APP_ROLE)) as connection:
        connection.execute("SELECT set_config('app.workspace_id', %s, false)", [str(built_history.here)])
        yield connection


def fetch(connection: psycopg.Connection, query: str, *values: object) -> list[dict[str, Any]]:
    """Return the rows of a query by column name."""
    return connection.cursor(row_factory=dict_row).execute(query.encode(), values).fetchall()


def test_every_model_test_and_unit_test_passes(built_history: BuiltHistory) -> None:
    """The whole project builds on a history with all kinds of outcomes, and all its tests pass."""
    statuses = {result.node.unique_id: str(result.status) for result in built_history.results}
    kinds = {name.partition(".")[0] for name in statuses}
    assert {"model", "test", "unit_test"} <= kinds
    assert {name: status for name, status in statuses.items() if status not in {"success", "pass", "no-op"}} == {}


def test_a_campaign_has_the_figures_computed_by_hand(app: psycopg.Connection, built_history: BuiltHistory) -> None:
    """Messages count once, a late bounce is not a delivery, verdicts are separate, automatic replies do not count."""
    (row,) = fetch(app, "SELECT * FROM analytics.campaigns WHERE campaign_id = %s", str(built_history.spring))
    expected = {
        "kind": "sequence", "name": "Spring", "status": "Active", "sequence_id": built_history.spring,
        "sent": 5, "delivered": 3, "bounced": 1, "hard_bounced": 1, "soft_bounced": 0,
        "opened": 2, "human_opened": 1, "machine_opened": 2, "clicked": 1, "human_clicked": 1, "machine_clicked": 0,
        "replied": 1, "unsubscribed": 1, "complained": None,
        "delivery_rate": Decimal("0.6"), "bounce_rate": Decimal("0.2"), "reply_rate": Decimal(1) / 3,
        "open_rate": Decimal(2) / 3, "human_open_rate": Decimal(1) / 3, "click_rate": Decimal(1) / 3,
        "human_click_rate": Decimal(1) / 3, "click_to_open_rate": Decimal("0.5"), "unsubscribe_rate": Decimal(1) / 3,
        "first_sent_at": at(2, 8), "last_sent_at": at(6, 8), "last_activity_at": at(6, 8),
    }  # fmt: skip
    rounded = {name: round(value, 15) if isinstance(value, Decimal) else value for name, value in row.items()}
    expected = {name: round(value, 15) if isinstance(value, Decimal) else value for name, value in expected.items()}
    assert {name: rounded[name] for name in expected} == expected


def test_campaigns_without_mail_and_bulk_emails_are_listed(
    app: psycopg.Connection, built_history: BuiltHistory
) -> None:
    """An unsent sequence has zeros and null rates, or no row if deleted; a bulk email has its newest report."""
    rows = {row["name"]: row for row in fetch(app, "SELECT * FROM analytics.campaigns")}
    assert set(rows) == {"Spring", "Empty", "News"}
    empty, news = rows["Empty"], rows["News"]
    assert (empty["sent"], empty["opened"], empty["replied"]) == (0, 0, 0)
    assert {name for name, value in empty.items() if name.endswith("_rate") and value is not None} == set()
    assert (news["kind"], news["campaign_id"], news["sent"], news["bounced"]) == ("bulk", "77", 100, 10)
    assert (news["open_rate"], news["unsubscribe_rate"]) == (Decimal("0.5"), Decimal("0.1"))
    assert [news[name] for name in ("clicked", "replied", "human_opened", "complained", "reply_rate")] == [None] * 5


def test_each_step_has_its_own_figures(app: psycopg.Connection, built_history: BuiltHistory) -> None:
    """Each step of a sequence has its own row, and a step without deliveries has no rates."""
    query = "SELECT * FROM analytics.{} WHERE campaign_id = %s ORDER BY step_order"
    delivery = fetch(app, query.format("delivery_stats"), str(built_history.spring))
    engagement = fetch(app, query.format("engagement_stats"), str(built_history.spring))
    unsubscribes = fetch(app, query.format("unsubscribe_stats"), str(built_history.spring))
    assert [(row["step_order"], row["sent"], row["delivered"], row["bounced"]) for row in delivery] == [
        (1, 4, 3, 1),
        (2, 1, 0, 0),
    ]
    assert [(row["opens"], row["human_opens"], row["machine_opens"], row["clicks"]) for row in engagement] == [
        (4, 2, 2, 1),
        (0, 0, 0, 0),
    ]
    assert [row["open_rate"] for row in engagement][1] is None
    assert [(row["unsubscribed"], row["last_unsubscribed_at"]) for row in unsubscribes] == [
        (1, at(5, 21, 30)),
        (0, None),
    ]


def test_the_timeline_has_every_local_day(app: psycopg.Connection, built_history: BuiltHistory) -> None:
    """Each event counts on its day in Johannesburg; a day without events has zeros."""
    rows = fetch(app, "SELECT * FROM analytics.timeline_events ORDER BY day")
    figures = (
        "sent",
        "delivered",
        "opened",
        "human_opened",
        "machine_opened",
        "clicked",
        "replied",
        "bounced",
        "unsubscribed",
    )
    assert [(row["day"].day, *(row[name] for name in figures)) for row in rows] == [
        (2, 3, 2, 1, 1, 1, 1, 0, 0, 0),
        (3, 1, 1, 0, 0, 0, 0, 1, 1, 0),
        (4, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (5, 0, 0, 1, 0, 1, 0, 0, 0, 1),
        (6, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    ]


def test_totals_of_a_period_count_the_messages_sent_in_it(app: psycopg.Connection, built_history: BuiltHistory) -> None:
    """Totals and rates cover the messages sent in the period, with events of any time; open and empty periods work."""
    totals = "SELECT * FROM analytics.workspace_totals(%s, %s)"
    (second,) = fetch(app, totals, date(2026, 3, 2), date(2026, 3, 2))
    assert (second["sent"], second["delivered"], second["bounced"], second["opened"], second["replied"]) == (
        3,
        2,
        1,
        1,
        1,
    )
    assert (second["open_rate"], round(second["bounce_rate"], 6)) == (Decimal("0.5"), Decimal("0.333333"))
    (third,) = fetch(app, totals, date(2026, 3, 3), None)
    assert (third["sent"], third["delivered"], third["opened"], third["unsubscribed"]) == (2, 1, 1, 1)
    (whole,) = fetch(app, totals, None, None)
    assert (whole["sent"], whole["complained"]) == (5, None)
    (nothing,) = fetch(app, totals, date(2027, 1, 1), None)
    assert (nothing["sent"], nothing["open_rate"]) == (0, None)
    assert nothing["as_of"] == whole["as_of"] is not None


SELECT_TIMES = """
    SELECT message_id, delivered_at, first_opened_at, first_human_opened_at, first_machine_opened_at, first_clicked_at,
           first_human_clicked_at, first_machine_clicked_at, replied_at, bounced_at, unsubscribed_at, complained_at
      FROM intermediate.int_messages__engagement WHERE workspace_id = %s
"""
FLAGS = (
    *("delivered", "hard_bounced", "soft_bounced", "opened", "human_opened", "machine_opened"),
    *("clicked", "human_clicked", "machine_clicked", "replied", "unsubscribed", "complained"),
)


def test_each_message_has_its_own_times(connection: psycopg.Connection, built_history: BuiltHistory) -> None:
    """The first time of each event type counts, separately for human and machine verdicts."""
    names = {message: name for name, message in built_history.edge_cases.messages.items()}
    times = {
        names[row.pop("message_id")]: {name: value.minute for name, value in row.items() if value is not None}
        for row in fetch(connection, SELECT_TIMES, built_history.edge_cases.workspace)
        if row["message_id"] in names
    }
    assert times == {
        "machine first": {
            "delivered_at": 1, "first_opened_at": 4, "first_human_opened_at": 5, "first_machine_opened_at": 4,
            "first_clicked_at": 2, "first_human_clicked_at": 3, "first_machine_clicked_at": 2,
        },
        "person first": {
            "delivered_at": 1, "first_opened_at": 2, "first_human_opened_at": 2, "first_machine_opened_at": 3,
            "first_clicked_at": 4, "first_human_clicked_at": 4, "first_machine_clicked_at": 5,
        },
        "soft after delivery": {"delivered_at": 1, "bounced_at": 3},
        "soft with delivery": {"delivered_at": 1, "bounced_at": 1},
        "soft before complaint": {"bounced_at": 1, "complained_at": 2},
        "soft between replies": {"delivered_at": 3, "bounced_at": 1, "replied_at": 3},
        "unread": {"delivered_at": 1},
        "unsubscribed and bounced": {
            "delivered_at": 1, "first_opened_at": 2, "first_human_opened_at": 2, "unsubscribed_at": 3, "bounced_at": 4,
        },
        "unsubscribed": {"delivered_at": 3, "first_opened_at": 1, "first_human_opened_at": 1, "unsubscribed_at": 2},
        "hard before reply": {"bounced_at": 1, "delivered_at": 5, "replied_at": 5},
    }  # fmt: skip


def test_each_message_has_its_flags_and_counts(connection: psycopg.Connection, built_history: BuiltHistory) -> None:
    """Flags and counts of each message, with repeats, lasting and temporary bounces, and events before a bounce."""
    names = {message: name for name, message in built_history.edge_cases.messages.items()}
    query = "SELECT * FROM intermediate.int_messages__engagement WHERE message_id = ANY(%s)"
    rows = {names[row["message_id"]]: row for row in fetch(connection, query, list(names))}
    flags = {name: {flag for flag in FLAGS if row[f"is_{flag}"]} for name, row in rows.items()}
    engagement = set(FLAGS[3:9])
    assert flags == {
        "machine first": {"delivered"} | engagement,
        "person first": {"delivered"} | engagement,
        "soft after delivery": {"soft_bounced"},
        "soft with delivery": {"soft_bounced"},
        "soft before complaint": {"soft_bounced", "complained"},
        "soft between replies": {"soft_bounced"},
        "unread": {"delivered"},
        "unsubscribed and bounced": {"hard_bounced"},
        "unsubscribed": {"delivered", "opened", "human_opened", "unsubscribed"},
        "hard before reply": {"delivered", "replied"},
    }
    counts = ("opens", "human_opens", "machine_opens", "clicks", "human_clicks", "machine_clicks")
    assert [rows["machine first"][name] for name in counts] == [3, 2, 1, 4, 1, 3]
    assert [rows["person first"][name] for name in counts] == [2, 1, 1, 2, 1, 1]
    assert {day for row in rows.values() for day in row["active_on"]} == {date(2026, 3, 2)}


def test_steps_and_totals_of_a_workspace_are_its_own(
    connection: psycopg.Connection, built_history: BuiltHistory
) -> None:
    """A deleted sequence with messages is listed; totals cover one workspace, even without row-level security."""
    workspace = built_history.edge_cases.workspace
    steps = fetch(connection, "SELECT * FROM analytics.delivery_stats WHERE workspace_id = %s", workspace)
    assert sorted((row["step_order"], row["sent"], row["soft_bounced"], row["hard_bounced"]) for row in steps) == [
        (1, 1, 0, 0),
        (1, 5, None, None),
        (1, 10, 4, 1),
        (2, 0, 0, 0),
    ]
    unsubscribes = fetch(connection, "SELECT * FROM analytics.unsubscribe_stats WHERE workspace_id = %s", workspace)
    assert {row["last_unsubscribed_at"] for row in unsubscribes} == {at(2, 8, 2), None}
    campaigns = fetch(connection, "SELECT * FROM analytics.campaigns WHERE workspace_id = %s", workspace)
    figures = {row["name"]: (row["sent"], row["delivered"], row["bounced"], row["opens"]) for row in campaigns}
    assert figures == {"Edges": (10, 5, 5, 6), "Ended": (1, 0, 0, 0), "Ours": (5, 5, None, None)}
    with connection.transaction():
        connection.execute("SELECT set_config('app.workspace_id', %s, true)", [str(workspace)])
        (totals,) = fetch(connection, "SELECT * FROM analytics.workspace_totals(NULL, NULL)")
    assert (totals["sent"], totals["delivered"], totals["bounced"], totals["complained"]) == (11, 5, 5, 1)


def test_the_api_sees_its_own_workspace_only(app: psycopg.Connection, built_history: BuiltHistory) -> None:
    """Row-level security applies to every rebuilt mart, and the API cannot read the intermediate models."""
    for mart in MARTS:
        assert {row["workspace_id"] for row in fetch(app, f"SELECT workspace_id FROM analytics.{mart}")} == {
            built_history.here
        }
    app.execute("SELECT set_config('app.workspace_id', %s, false)", [str(built_history.there)])
    assert [row["campaign_id"] for row in fetch(app, "SELECT * FROM analytics.campaigns")] == [str(built_history.other)]
    # 03:00 UTC is the day before in New York.
    assert [row["day"] for row in fetch(app, "SELECT day FROM analytics.timeline_events")] == [date(2026, 3, 1)]
    app.execute("SELECT set_config('app.workspace_id', '', false)")
    for mart in MARTS:
        assert fetch(app, f"SELECT * FROM analytics.{mart}") == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("SELECT * FROM intermediate.int_messages__engagement")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("DELETE FROM analytics.campaigns")


def test_a_build_notifies_live_queries(connection: psycopg.Connection, built_history: BuiltHistory) -> None:
    """Each mart's build is in the change log of every workspace, because a workspace may have lost its last row."""
    logged = {(row["workspace_id"], row["table_name"]) for row in fetch(connection, "SELECT * FROM app.changes")}
    workspaces = [row["id"] for row in fetch(connection, "SELECT id FROM app.workspaces")]
    assert {built_history.here, built_history.there} < set(workspaces)
    assert {(workspace, mart) for workspace in workspaces for mart in MARTS} <= logged


def test_every_column_of_the_marts_is_described_in_the_database(
    connection: psycopg.Connection, built_history: BuiltHistory
) -> None:
    """Every column of a mart has a comment in the database, which psql shows."""
    query = """
        SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
         WHERE c.relnamespace = 'analytics'::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped
           AND col_description(c.oid, a.attnum) IS NULL"""
    assert fetch(connection, query) == []
