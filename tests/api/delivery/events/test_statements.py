"""Each statement of events beside rows that differ from its own in one condition."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.events import repository, service
from api.delivery.events.repository import EventUpdate
from database.base import Base
from database.models import SendOutcome
from tests.comparing import compared
from tests.database.rows import insert, row_for
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

DELIVERIES, CALLBACKS, TRANSACTIONS = (
    "everlytic.webhook_deliveries",
    "everlytic.callback_events",
    "everlytic.transactions",
)
EVENTS, ATTEMPTS = "app.email_events", "app.send_attempts"
TICK = timedelta(microseconds=1)


def add_keyed(workspaces: TwoWorkspaces, table: str, **values: Any) -> None:
    """Insert a row of a table whose key is no id."""
    described = Base.metadata.tables[table]
    insert(workspaces.owner, described, row_for(described, workspaces.ids, uuid4().hex) | values, dict(workspaces.ids))


def clear(workspaces: TwoWorkspaces, *tables: str) -> None:
    """Delete the rows that each table was filled with."""
    for table in tables:
        workspaces.owner.execute(f"DELETE FROM {table}".encode())


async def test_pushed_requests_are_taken_oldest_first_up_to_their_bounds(two_workspaces: TwoWorkspaces) -> None:
    """What is applied is left out; so many are taken, and none that begins at the bound of bytes."""
    workspaces = two_workspaces
    clear(workspaces, DELIVERIES)
    ids = [UUID(int=number) for number in range(1, 5)]
    for id_ in reversed(ids):
        workspaces.add(DELIVERIES, id=id_, body=b"abc")
    workspaces.add(DELIVERIES, id=UUID(int=0), body=b"abc", applied_at=NOW)

    async def take(session: AsyncSession) -> list[list[UUID]]:
        bounds = [(9, 7), (9, 6), (9, 1), (3, 99)]
        return [
            [
                row.id
                for row in await repository.list_unapplied_deliveries(
                    session, workspaces.id, limit=most, max_bytes=size
                )
            ]
            for most, size in bounds
        ]

    acted = await compared(workspaces, take)
    assert acted.result == [ids[:3], ids[:2], ids[:1], ids[:3]]
    assert acted.changes == {}


async def test_polled_events_are_taken_in_the_order_in_which_they_happened(two_workspaces: TwoWorkspaces) -> None:
    """What is applied is left out, and events of one instant come by their keys."""
    workspaces = two_workspaces
    clear(workspaces, CALLBACKS)
    for key, at in (("d", NOW), ("b", NOW), ("c", NOW), ("z", NOW - TICK), ("a", NOW + TICK)):
        add_keyed(workspaces, CALLBACKS, event_key=key, occurred_at=at)
    add_keyed(workspaces, CALLBACKS, event_key="e", occurred_at=NOW, applied_at=NOW)

    async def take(session: AsyncSession) -> list[list[str]]:
        return [
            [row.event_key for row in await repository.list_unapplied_callbacks(session, workspaces.id, limit=most)]
            for most in (9, 3)
        ]

    assert (await compared(workspaces, take)).result == [["z", "b", "c", "d", "a"], ["z", "b", "c"]]


async def test_only_so_much_is_taken_at_once(two_workspaces: TwoWorkspaces) -> None:
    """One transaction takes 2,000 pushed requests and 2,000 polled events, or what begins within 2 MiB."""
    workspaces = two_workspaces
    clear(workspaces, DELIVERIES, CALLBACKS)
    workspaces.owner.execute(
        "INSERT INTO everlytic.webhook_deliveries (workspace_id, content_type, body, received_at)"
        " SELECT %s, '', '', now() FROM generate_series(1, 2001)",
        [workspaces.id],
    )
    workspaces.owner.execute(
        "INSERT INTO everlytic.callback_events (workspace_id, event_key, type, occurred_at, raw)"
        " SELECT %s, i, '', now(), '{}' FROM generate_series(1, 2001) AS i",
        [workspaces.id],
    )

    async def take(session: AsyncSession) -> tuple[int, int, int]:
        rows = await service.lock_provider_rows(session, workspaces.id)
        return len(rows.deliveries), len(rows.callbacks), len(rows)

    assert (await compared(workspaces, take)).result == (2000, 2000, 4000)
    for size, number in ((2_097_151, 2), (2_097_152, 1)):
        clear(workspaces, DELIVERIES)
        for id_, length in enumerate((size, 1, 1)):
            workspaces.add(DELIVERIES, id=UUID(int=id_), body=b"x" * length)
        assert (await compared(workspaces, take)).result[0] == number


async def test_only_what_was_applied_is_marked(two_workspaces: TwoWorkspaces) -> None:
    """Each provider row that was applied gets its own error, and no other row is marked."""
    workspaces = two_workspaces
    pushed = {workspaces.add(DELIVERIES): error for error in ("It is empty.", None)}
    polled = {"first": "It is an array.", "second": None}
    for key in (*polled, "other"):
        add_keyed(workspaces, CALLBACKS, event_key=key)
    workspaces.add(DELIVERIES)

    async def mark(session: AsyncSession) -> None:
        await repository.mark_deliveries_applied(session, workspaces.id, pushed, NOW)
        await repository.mark_callbacks_applied(session, workspaces.id, polled, NOW)

    changes = (await compared(workspaces, mark)).changes
    errors = {
        table: {key: row.get("error", (None, None))[1] for key, row in rows.items()} for table, rows in changes.items()
    }
    assert errors == {
        DELIVERIES: {str(id_): error for id_, error in pushed.items()},
        CALLBACKS: {f"{workspaces.id} {key}": error for key, error in polled.items()},
    }
    assert {row["applied_at"][0] for rows in changes.values() for row in rows.values()} == {None}


async def test_messages_are_read_with_their_own_leads_and_attempts(two_workspaces: TwoWorkspaces) -> None:
    """A message is read with its own lead and its own attempt, by its draft or by an id of at most 255 characters."""
    workspaces = two_workspaces
    names = {"a": "a", "b": "b" * 255, "c": "c" * 256}
    drafts = {name: workspaces.add_draft() for name in ("a", "b", "c", "unsent")}
    for name, transaction_id in names.items():
        values = {"draft_id": drafts[name], "outcome": "accepted" if name == "a" else "unknown"}
        workspaces.add(ATTEMPTS, everlytic_transaction_id=transaction_id, **values)
    lead_ids: dict[UUID, UUID] = dict(workspaces.owner.execute("SELECT id, lead_id FROM app.email_drafts").fetchall())
    workspaces.set("app.leads", lead_ids[drafts["b"]], erased_at=NOW)

    async def read(session: AsyncSession) -> tuple[dict[UUID, Any], dict[str, Any]]:
        by_draft = await repository.find_messages_by_draft(
            session, workspaces.id, [drafts[name] for name in ("a", "unsent")]
        )
        return by_draft, await repository.find_messages_by_transaction(session, workspaces.id, list(names.values()))

    by_draft, by_transaction = (await compared(workspaces, read)).result
    assert {draft_id: (its.lead_id, its.outcome, its.is_erased) for draft_id, its in by_draft.items()} == {
        drafts["a"]: (lead_ids[drafts["a"]], SendOutcome.ACCEPTED, False),
        drafts["unsent"]: (lead_ids[drafts["unsent"]], None, False),
    }
    assert {key: (its.draft_id, its.lead_id, its.outcome, its.is_erased) for key, its in by_transaction.items()} == {
        names["a"]: (drafts["a"], lead_ids[drafts["a"]], SendOutcome.ACCEPTED, False),
        names["b"]: (drafts["b"], lead_ids[drafts["b"]], SendOutcome.UNKNOWN, True),
    }


async def test_only_deliveries_bounces_opens_and_clicks_of_the_messages_are_read(two_workspaces: TwoWorkspaces) -> None:
    """Events of these four types are read of the named messages; updates change their own rows alone."""
    workspaces = two_workspaces
    draft_id, other = (workspaces.add_draft() for _ in range(2))
    types = ("sent", "delivered", "opened", "clicked", "bounced", "unsubscribed", "complained")
    ids = {type_: workspaces.add(EVENTS, draft_id=draft_id, type=type_, synced_at=NOW) for type_ in types}
    workspaces.add(EVENTS, draft_id=other, type="opened")
    again = [
        EventUpdate(ids["opened"], "machine", "at once", None, None),
        EventUpdate(ids["clicked"], "human", "later", '{"ip": "192.0.2.1"}', None),
        EventUpdate(ids["bounced"], None, None, None, "address"),
    ]

    async def judge(session: AsyncSession) -> list[UUID]:
        stored = await repository.list_stored_events(session, workspaces.id, [draft_id])
        await repository.update_events(session, workspaces.id, again)
        return [event.id for event in stored]

    acted = await compared(workspaces, judge)
    assert sorted(acted.result) == sorted(ids[type_] for type_ in ("delivered", "opened", "clicked", "bounced"))
    rows = acted.changes.pop(EVENTS)
    assert acted.changes == {}
    assert all(row.pop("written_by") for row in rows.values())
    for type_ in ("clicked", "bounced"):
        assert rows[str(ids[type_])].pop("synced_at")[0] is not None
    assert rows == {
        str(ids["opened"]): {"verdict": (None, "machine"), "verdict_rule": (None, "at once")},
        str(ids["clicked"]): {
            "verdict": (None, "human"),
            "verdict_rule": (None, "later"),
            "data": ({}, {"ip": "192.0.2.1"}),
        },
        str(ids["bounced"]): {"bounce_kind": (None, "address")},
    }


async def test_only_unknown_sends_that_are_listed_are_settled(two_workspaces: TwoWorkspaces) -> None:
    """A send of unknown outcome is found by its own transaction; one of another outcome or without one is not."""
    workspaces = two_workspaces
    drafts = {outcome: workspaces.add_draft() for outcome in (*SendOutcome, "unlisted")}
    for outcome, draft_id in drafts.items():
        workspaces.add(ATTEMPTS, draft_id=draft_id, outcome="unknown" if outcome == "unlisted" else outcome)
        if outcome != "unlisted":
            add_keyed(workspaces, TRANSACTIONS, transaction_id=f"tx {outcome}", message_id=str(draft_id))

    async def find(session: AsyncSession) -> Sequence[tuple[UUID, str]]:
        return await repository.list_unknown_sends_in_transactions(session, workspaces.id)

    assert (await compared(workspaces, find)).result == [(drafts[SendOutcome.UNKNOWN], "tx unknown")]


async def test_an_event_is_shown_with_its_own_message(two_workspaces: TwoWorkspaces) -> None:
    """An event is found by its id, with the lead and the sequence of its own message."""
    workspaces = two_workspaces
    draft_id, other = (workspaces.add_draft() for _ in range(2))
    event_id = workspaces.add(EVENTS, draft_id=draft_id)
    workspaces.add(EVENTS, draft_id=other)
    ((lead_id,),) = workspaces.owner.execute("SELECT lead_id FROM app.email_drafts WHERE id = %s", [draft_id])
    acted = await compared(workspaces, lambda session: repository.find_event(session, workspaces.id, event_id))
    assert acted.result is not None
    assert (acted.result.id, acted.result.draft_id, acted.result.lead_id) == (event_id, draft_id, lead_id)
