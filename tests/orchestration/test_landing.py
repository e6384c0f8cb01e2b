"""How polled rows become rows of schema everlytic."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from database.roles import connect, owner_url
from orchestration.defs.everlytic.batches import Batches
from orchestration.defs.everlytic.landing import CALLBACK_EVENTS, TRANSACTIONS, land, record_cursors
from orchestration.defs.everlytic.records import as_json, as_text
from tests.dbt_project.history import History

SENT = datetime(2026, 3, 2, 8, tzinfo=UTC)


def transaction(workspace: object, name: str, **fields: Any) -> dict[str, Any]:
    """Return a row of the transaction list."""
    return {
        "workspace_id": str(workspace),
        "transaction_id": name,
        "sent_at": SENT,
        "opens": 0,
        "raw": as_json({"id": name, **fields}),
        **fields,
    }


def test_rows_are_new_once_changed_when_they_differ_and_else_left_alone(database_url: str) -> None:
    """A row met twice in one listing lands once; a second sync counts what changed and does not rewrite the rest."""
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).workspace()
        first = [transaction(workspace, name) for name in ("a", "b", "a")]
        with connection.transaction():
            assert land(connection, TRANSACTIONS, TRANSACTIONS.frame(first)) == {str(workspace): (2, 0)}
        second = [transaction(workspace, "a", opens=3), transaction(workspace, "b"), transaction(workspace, "c")]
        with connection.transaction():
            assert land(connection, TRANSACTIONS, TRANSACTIONS.frame(second)) == {str(workspace): (1, 1)}
        rows = connection.execute("SELECT transaction_id, opens FROM everlytic.transactions ORDER BY 1").fetchall()
        assert rows == [("a", 3), ("b", 0), ("c", 0)]
        with connection.transaction():
            assert land(connection, TRANSACTIONS, TRANSACTIONS.frame([])) == {}


def test_of_two_rows_with_one_key_the_last_told_lands(database_url: str) -> None:
    """Within one batch and from one batch to the next, the row that was told last is the one that stands."""
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).workspace()
        for opens in ((1, 2), (4, 3)):
            rows = [transaction(workspace, "a", opens=count) for count in opens]
            with connection.transaction():
                land(connection, TRANSACTIONS, TRANSACTIONS.frame(rows))
            landed = connection.execute("SELECT opens, raw ->> 'opens' FROM everlytic.transactions").fetchall()
            assert landed == [(opens[-1], str(opens[-1]))]


def test_rows_are_written_in_the_order_of_their_keys(database_url: str) -> None:
    """Rows that come in any order are inserted by workspace and id, so that two syncs lock them in one order."""
    with connect(owner_url(database_url)) as connection:
        history = History(connection)
        workspaces = sorted(str(history.workspace()) for _ in range(2))
        rows = [transaction(workspace, name) for name in "cabd" for workspace in reversed(workspaces)]
        with connection.transaction():
            counted = land(connection, TRANSACTIONS, TRANSACTIONS.frame(rows))
        query = "SELECT workspace_id::text, transaction_id FROM everlytic.transactions ORDER BY ctid"
        assert connection.execute(query).fetchall() == [(one, name) for one in workspaces for name in "abcd"]
        assert counted == dict.fromkeys(workspaces, (4, 0))


def test_a_row_says_when_it_was_last_seen_to_change(database_url: str) -> None:
    """A changed row is given the time of this sync, in each column that can change; an unchanged one keeps its own."""
    before = "UPDATE everlytic.transactions SET synced_at = '2026-01-01'"
    moved = "SELECT transaction_id FROM everlytic.transactions WHERE synced_at > '2026-01-02'"
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
        workspace = History(connection).workspace()
        rows = [transaction(workspace, name) for name in [*changes, "same"]]
        with connection.transaction():
            land(connection, TRANSACTIONS, TRANSACTIONS.frame(rows))
        connection.execute(before)
        changed = [row | {name: changes[name]} for row in rows if (name := row["transaction_id"]) in changes]
        with connection.transaction():
            assert land(connection, TRANSACTIONS, TRANSACTIONS.frame([*changed, rows[-1]])) == {
                str(workspace): (0, len(changes))
            }
        assert {name for (name,) in connection.execute(moved).fetchall()} == set(changes)


def test_a_cursor_never_goes_back(database_url: str) -> None:
    """A later or an earlier end, a failure and its mending: the end moves forward only, and an error lasts one sync."""
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).workspace()
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


def test_who_was_forgotten_stays_so(database_url: str) -> None:
    """A record that an erasure has emptied is not filled again when the same days are polled once more."""
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).workspace()
        rows = [transaction(workspace, name, recipient=f"{name}@example.test") for name in ("a", "b")]
        with connection.transaction():
            land(connection, TRANSACTIONS, TRANSACTIONS.frame(rows))
        connection.execute("UPDATE everlytic.transactions SET recipient = NULL, raw = '{}' WHERE transaction_id = 'a'")
        with connection.transaction():
            assert land(connection, TRANSACTIONS, TRANSACTIONS.frame(rows)) == {}
        query = "SELECT transaction_id, recipient FROM everlytic.transactions ORDER BY 1"
        assert connection.execute(query).fetchall() == [("a", None), ("b", "b@example.test")]


def test_texts_of_any_kind_survive_the_way(database_url: str) -> None:
    """Quotes, line breaks, commas, an empty text, nothing at all and what looks like nothing arrive as they were."""
    texts = ['say "hi",\nplease', "", None, r"\N", "naïve 東京", r"back\slash"]
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).workspace()
        rows = [transaction(workspace, str(number), bounce_reason=text) for number, text in enumerate(texts)]
        with connection.transaction():
            land(connection, TRANSACTIONS, TRANSACTIONS.frame(rows))
        query = "SELECT bounce_reason, raw ->> 'bounce_reason' FROM everlytic.transactions ORDER BY transaction_id"
        landed = connection.execute(query).fetchall()
    assert [raw for _, raw in landed] == texts
    assert [column for column, _ in landed] == texts


def test_an_event_is_kept_as_it_was_first_told(database_url: str) -> None:
    """A key that is known already changes nothing, and a NUL character in what was said stops nobody."""
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).workspace()
        event = {
            "workspace_id": str(workspace),
            "event_key": "k",
            "type": "open",
            "occurred_at": SENT,
            "raw": as_json({"user_agent": "a\0b"}),
        }
        for kind, landed in (("open", {str(workspace): (1, 0)}), ("click", {})):
            with connection.transaction():
                assert land(connection, CALLBACK_EVENTS, CALLBACK_EVENTS.frame([{**event, "type": kind}])) == landed
        assert connection.execute("SELECT type, raw ->> 'user_agent' FROM everlytic.callback_events").fetchall() == [
            ("open", "ab")
        ]


def test_batches_land_while_more_is_asked_for(database_url: str) -> None:
    """However many rows come, no more than one batch is held: all others are committed, and twins land once."""
    url = owner_url(database_url)
    said: list[str] = []
    with connect(url) as connection:
        workspace = History(connection).workspace()
        batches = Batches(partial(connect, url), TRANSACTIONS, said.append, size=10)
        committed: list[int] = []

        async def put() -> None:
            for number in range(95):
                await batches.add(transaction(workspace, str(number)))
                query = "SELECT count(*) FROM everlytic.transactions"
                committed.extend(count for (count,) in connection.execute(query).fetchall())
            await batches.add(transaction(workspace, "0", opens=1))
            await batches.finish()

        asyncio.run(put())
        assert all(number + 1 - count < 10 for number, count in enumerate(committed))
        landed = batches.landed
        assert (landed.rows, landed.new, landed.changed) == (96, 95, 1)
        assert (landed.by_day, landed.first, landed.last) == ({SENT.date(): 96}, SENT, SENT)
        assert said[0] == "10 rows have landed in everlytic.transactions so far."


def test_batches_are_counted_together(database_url: str) -> None:
    """Rows of two workspaces over three days, in two batches: days, ends, new and changed rows add up."""
    with connect(owner_url(database_url)) as connection:
        history = History(connection)
        ann, ben = str(history.workspace()), str(history.workspace())
        with connection.transaction():
            land(connection, TRANSACTIONS, TRANSACTIONS.frame([transaction(ann, name) for name in ("a", "c")]))
    said: list[str] = []
    batches = Batches(partial(connect, owner_url(database_url)), TRANSACTIONS, said.append, size=3)

    async def put() -> None:
        for workspace, name, days, opens in (
            *((ann, "a", 1, 1), (ben, "a", 0, 0), (ann, "b", 1, 0)),
            *((ann, "c", -1, 2), (ben, "b", 0, 0)),
        ):
            await batches.add(transaction(workspace, name, opens=opens) | {"sent_at": SENT + timedelta(days=days)})
        await batches.add(transaction(ben, "c") | {"sent_at": None})
        await batches.finish()
        await batches.finish()

    asyncio.run(put())
    landed = batches.landed
    assert landed.by_workspace == {ann: (1, 2), ben: (3, 0)}
    assert (landed.rows, landed.new, landed.changed) == (6, 4, 2)
    today = SENT.date()
    assert landed.by_day == {today - timedelta(days=1): 1, today: 2, today + timedelta(days=1): 2}
    assert (landed.first, landed.last) == (SENT - timedelta(days=1), SENT + timedelta(days=1))
    assert [sentence.split()[0] for sentence in said] == ["3", "6"]


@given(
    texts=st.lists(
        st.text(st.characters(codec=None, exclude_categories=()) | st.sampled_from("\0\ud800\\u0"), max_size=20)
    ),
    number=st.floats() | st.integers(-(10**40), 10**40),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_a_provider_says_is_refused(database_url: str, texts: list[str], number: float) -> None:
    """NULs, halves of pairs, backslashes and numbers that are none land, and the rest of a text comes as it was."""
    raw = {"texts": texts, "number": number, **{f"name {text}": text for text in texts}}
    with connect(owner_url(database_url)) as connection:
        workspace = History(connection).workspace()
        rows = [transaction(workspace, "a") | {"raw": as_json(raw), "recipient": as_text("".join(texts))}]
        with connection.transaction():
            land(connection, TRANSACTIONS, TRANSACTIONS.frame(rows))
        query = "SELECT raw -> 'texts', recipient FROM everlytic.transactions WHERE workspace_id = %s"
        landed = connection.execute(query, [workspace]).fetchall()
    assert landed == [([as_text(text) for text in texts], as_text("".join(texts)))]
