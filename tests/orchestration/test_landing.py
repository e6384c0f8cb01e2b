"""Tests of how polled rows are written to schema everlytic."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from database.roles import connect, owner_url
from orchestration.defs.everlytic.batches import BatchWriter
from orchestration.defs.everlytic.landing import CALLBACK_EVENTS, TRANSACTIONS, land_frame, record_cursors
from orchestration.defs.everlytic.records import to_postgres_json, to_postgres_text
from tests.dbt_project.history import History

SENT = datetime(2026, 3, 2, 8, tzinfo=UTC)


def transaction(workspace: object, name: str, **fields: Any) -> dict[str, Any]:
    """Return a row of the transaction list."""
    return {
        "workspace_id": str(workspace),
        "transaction_id": name,
        "sent_at": SENT,
        "opens": 0,
        "raw": to_postgres_json({"id": name, **fields}),
        **fields,
    }


def test_rows_are_counted_as_new_or_changed_and_others_are_left_alone(database_url: str) -> None:
    """A row listed twice lands once; a second sync counts the changed rows and does not rewrite the others."""
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).add_workspace()
        first = [transaction(workspace, name) for name in ("a", "b", "a")]
        with connection.transaction():
            assert land_frame(connection, TRANSACTIONS, TRANSACTIONS.to_frame(first)) == {str(workspace): (2, 0)}
        second = [transaction(workspace, "a", opens=3), transaction(workspace, "b"), transaction(workspace, "c")]
        with connection.transaction():
            assert land_frame(connection, TRANSACTIONS, TRANSACTIONS.to_frame(second)) == {str(workspace): (1, 1)}
        rows = connection.execute("SELECT transaction_id, opens FROM everlytic.transactions ORDER BY 1").fetchall()
        assert rows == [("a", 3), ("b", 0), ("c", 0)]
        with connection.transaction():
            assert land_frame(connection, TRANSACTIONS, TRANSACTIONS.to_frame([])) == {}


def test_the_last_of_two_rows_with_the_same_key_lands(database_url: str) -> None:
    """Within a batch and from one batch to the next, the last row with a key overwrites earlier ones."""
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).add_workspace()
        for opens in ((1, 2), (4, 3)):
            rows = [transaction(workspace, "a", opens=count) for count in opens]
            with connection.transaction():
                land_frame(connection, TRANSACTIONS, TRANSACTIONS.to_frame(rows))
            landed = connection.execute("SELECT opens, raw ->> 'opens' FROM everlytic.transactions").fetchall()
            assert landed == [(opens[-1], str(opens[-1]))]


def test_rows_are_written_in_the_order_of_their_keys(database_url: str) -> None:
    """Rows are inserted by workspace and id, so that concurrent syncs lock them in the same order."""
    with connect(owner_url(database_url)) as connection:
        history = History(connection)
        workspaces = sorted(str(history.add_workspace()) for _ in range(2))
        rows = [transaction(workspace, name) for name in "cabd" for workspace in reversed(workspaces)]
        with connection.transaction():
            counts = land_frame(connection, TRANSACTIONS, TRANSACTIONS.to_frame(rows))
        query = "SELECT workspace_id::text, transaction_id FROM everlytic.transactions ORDER BY ctid"
        landed = connection.execute(query).fetchall()
        assert landed == [(workspace, name) for workspace in workspaces for name in "abcd"]
        assert counts == dict.fromkeys(workspaces, (4, 0))


def test_a_change_in_any_column_sets_synced_at(database_url: str) -> None:
    """A row that changed in any column gets the time of this sync; an unchanged row keeps its time."""
    set_old_time = "UPDATE everlytic.transactions SET synced_at = '2026-01-01'"
    select_recent = "SELECT transaction_id FROM everlytic.transactions WHERE synced_at > '2026-01-02'"
    changes: dict[str, object] = {
        "message_id": "m",
        "group_name": "g",
        "recipient": "r",
        "send_status": "sent",
        "sent_at": SENT + timedelta(microseconds=1),
        "opens": 1,
        "link_clicks": 1,
        "bounce_type": "hard",
        "bounce_reason": "full",
    }
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).add_workspace()
        rows = [transaction(workspace, name) for name in [*changes, "same"]]
        with connection.transaction():
            land_frame(connection, TRANSACTIONS, TRANSACTIONS.to_frame(rows))
        connection.execute(set_old_time)
        changed = [row | {name: changes[name]} for row in rows if (name := row["transaction_id"]) in changes]
        with connection.transaction():
            assert land_frame(connection, TRANSACTIONS, TRANSACTIONS.to_frame([*changed, rows[-1]])) == {
                str(workspace): (0, len(changes))
            }
        assert {name for (name,) in connection.execute(select_recent).fetchall()} == set(changes)


def test_a_cursor_never_goes_back(database_url: str) -> None:
    """`synced_through` only moves forward, a failure keeps it, and the next success clears the error."""
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).add_workspace()
        cursor = {"workspace_id": workspace, "resource": "transactions"}
        for hour, count, error, expected in (
            (9, 5, None, (9, 5, None)),
            (8, 6, None, (9, 6, None)),
            (None, 2, "refused", (9, 6, "refused")),
            (10, 7, None, (10, 7, None)),
        ):
            through = None if hour is None else SENT.replace(hour=hour)
            record_cursors(connection, [{**cursor, "synced_through": through, "row_count": count, "error": error}])
            row = connection.execute("SELECT synced_through, row_count, error FROM everlytic.sync_cursors").fetchone()
            assert row is not None
            assert (row[0].astimezone(UTC).hour, *row[1:]) == expected


def test_an_erased_record_stays_empty(database_url: str) -> None:
    """A record that an erasure has emptied is not filled again when the same days are polled again."""
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).add_workspace()
        rows = [transaction(workspace, name, recipient=f"{name}@example.test") for name in ("a", "b")]
        with connection.transaction():
            land_frame(connection, TRANSACTIONS, TRANSACTIONS.to_frame(rows))
        connection.execute("UPDATE everlytic.transactions SET recipient = NULL, raw = '{}' WHERE transaction_id = 'a'")
        with connection.transaction():
            assert land_frame(connection, TRANSACTIONS, TRANSACTIONS.to_frame(rows)) == {}
        query = "SELECT transaction_id, recipient FROM everlytic.transactions ORDER BY 1"
        assert connection.execute(query).fetchall() == [("a", None), ("b", "b@example.test")]


def test_text_of_any_kind_lands_unchanged(database_url: str) -> None:
    """Quotes, line breaks, commas, an empty text, null and the text that marks null in CSV land unchanged."""
    texts = ['say "hi",\nplease', "", None, r"\N", "naïve 東京", r"back\slash"]
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).add_workspace()
        rows = [transaction(workspace, str(number), bounce_reason=text) for number, text in enumerate(texts)]
        with connection.transaction():
            land_frame(connection, TRANSACTIONS, TRANSACTIONS.to_frame(rows))
        query = "SELECT bounce_reason, raw ->> 'bounce_reason' FROM everlytic.transactions ORDER BY transaction_id"
        landed = connection.execute(query).fetchall()
    assert [raw for _, raw in landed] == texts
    assert [column for column, _ in landed] == texts


def test_an_event_stays_as_it_was_first_polled(database_url: str) -> None:
    """An event with a known key changes nothing, and a NUL character in an event is removed."""
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).add_workspace()
        event = {
            "workspace_id": str(workspace),
            "event_key": "k",
            "type": "open",
            "occurred_at": SENT,
            "raw": to_postgres_json({"user_agent": "a\0b"}),
        }
        for kind, landed in (("open", {str(workspace): (1, 0)}), ("click", {})):
            with connection.transaction():
                assert (
                    land_frame(connection, CALLBACK_EVENTS, CALLBACK_EVENTS.to_frame([{**event, "type": kind}]))
                    == landed
                )
        assert connection.execute("SELECT type, raw ->> 'user_agent' FROM everlytic.callback_events").fetchall() == [
            ("open", "ab")
        ]


def test_batches_land_while_polling_continues(database_url: str) -> None:
    """At most one batch is in memory, all earlier rows are committed, and rows with the same key land once."""
    url = owner_url(database_url)
    messages: list[str] = []
    with connect(url) as connection:
        workspace = History(connection).add_workspace()
        batches = BatchWriter(partial(connect, url), TRANSACTIONS, messages.append, size=10)
        committed: list[int] = []

        async def put() -> None:
            for number in range(95):
                await batches.add(transaction(workspace, str(number)))
                query = "SELECT count(*) FROM everlytic.transactions"
                committed.extend(count for (count,) in connection.execute(query).fetchall())
            await batches.add(transaction(workspace, "0", opens=1))
            await batches.flush()

        asyncio.run(put())
        assert all(number + 1 - count < 10 for number, count in enumerate(committed))
        counts = batches.counts
        assert (counts.rows, counts.new_rows, counts.changed_rows) == (96, 95, 1)
        assert (counts.by_day, counts.first, counts.last) == ({SENT.date(): 96}, SENT, SENT)
        assert messages[0] == "Landed 10 rows in everlytic.transactions so far."


def test_batches_are_counted_together(database_url: str) -> None:
    """The days, first and last times, new and changed rows of two workspaces add up over two batches."""
    with connect(owner_url(database_url)) as connection:
        history = History(connection)
        ann, ben = str(history.add_workspace()), str(history.add_workspace())
        with connection.transaction():
            land_frame(connection, TRANSACTIONS, TRANSACTIONS.to_frame([transaction(ann, name) for name in ("a", "c")]))
    messages: list[str] = []
    batches = BatchWriter(partial(connect, owner_url(database_url)), TRANSACTIONS, messages.append, size=3)

    async def put() -> None:
        for workspace, name, days, opens in (
            *((ann, "a", 1, 1), (ben, "a", 0, 0), (ann, "b", 1, 0)),
            *((ann, "c", -1, 2), (ben, "b", 0, 0)),
        ):
            await batches.add(transaction(workspace, name, opens=opens) | {"sent_at": SENT + timedelta(days=days)})
        await batches.add(transaction(ben, "c") | {"sent_at": None})
        await batches.flush()
        await batches.flush()

    asyncio.run(put())
    counts = batches.counts
    assert counts.by_workspace == {ann: (1, 2), ben: (3, 0)}
    assert (counts.rows, counts.new_rows, counts.changed_rows) == (6, 4, 2)
    today = SENT.date()
    assert counts.by_day == {today - timedelta(days=1): 1, today: 2, today + timedelta(days=1): 2}
    assert (counts.first, counts.last) == (SENT - timedelta(days=1), SENT + timedelta(days=1))
    assert [message.split()[1] for message in messages] == ["3", "6"]


@given(
    texts=st.lists(
        st.text(st.characters(codec=None, exclude_categories=()) | st.sampled_from("\0\ud800\\u0"), max_size=20)
    ),
    number=st.floats() | st.integers(-(10**40), 10**40),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_of_the_provider_is_refused(database_url: str, texts: list[str], number: float) -> None:
    """NULs, lone surrogates, backslashes, NaN and infinite numbers land, and other characters stay unchanged."""
    raw = {"texts": texts, "number": number, **{f"name {text}": text for text in texts}}
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).add_workspace()
        rows = [
            transaction(workspace, "a") | {"raw": to_postgres_json(raw), "recipient": to_postgres_text("".join(texts))}
        ]
        with connection.transaction():
            land_frame(connection, TRANSACTIONS, TRANSACTIONS.to_frame(rows))
        query = "SELECT raw -> 'texts', recipient FROM everlytic.transactions WHERE workspace_id = %s"
        landed = connection.execute(query, [workspace]).fetchall()
    assert landed == [([to_postgres_text(text) for text in texts], to_postgres_text("".join(texts)))]
