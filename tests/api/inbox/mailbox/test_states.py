"""Tests each transition of a mailbox in each state: polls, refusals, replacement, and deletion during a poll."""

from datetime import date
from uuid import UUID

import httpx
import pytest

from api.inbox.mailbox import service
from api.inbox.mailbox.service import Progress
from database.models import Mailbox
from tests.api.states import EARLIER, NOW, Row, States, added, differing, moment
from tests.tables import ABSENT

pytestmark = pytest.mark.anyio

STATES: dict[str, Row] = {
    "new": {},
    "read": {"polled_at": EARLIER, "uid_validity": 3, "last_uid": 7},
    "failing": {"failures": 3, "last_error": "before"},
    "refused once": {"failures": 1, "refusals": 1, "last_error": "before"},
    "refused four times": {"failures": 6, "refusals": 4, "last_error": "before"},
    "disabled": {"failures": 7, "refusals": 5, "last_error": "before", "disabled_at": EARLIER},
}
BODY: Row = {"host": "127.0.0.1", "port": 9, "security": "none", "username": "ann", "password": "secret"}


async def put(states: States, name: str) -> tuple[Mailbox, Row]:
    """Set the workspace's mailbox to a state; returns it as a poll has read it, and its row."""
    states.owner.execute("DELETE FROM app.mailboxes")
    facts: Row = {name: BODY[name] for name in ("host", "port", "security", "username")}
    facts |= {"encrypted_password": "x", "read_since": date(2026, 3, 1)}
    mailbox_id = states.add("mailboxes", **{**facts, **STATES[name]})
    states.look()
    async with states.session() as session:
        mailbox = await service.find_mailbox(session, UUID(states.workspace_id))
    return mailbox, states.seen["app.mailboxes"][mailbox_id]


async def fail(states: States, mailbox: Mailbox, *, is_refusal: bool) -> Mailbox | None:
    """Record a failed poll."""
    async with states.session() as session:
        return await service.record_poll_failure(session, mailbox, "because", is_refusal=is_refusal, now=NOW)


async def test_each_end_of_a_poll_in_each_state(states: States) -> None:
    """A successful poll resets all failures, a connection error resets the refusals, and the fifth refusal disables.

    A disabled mailbox has the time of that, and is not returned to a poll.
    """
    workspace_id = UUID(states.workspace_id)
    for name in STATES:
        mailbox, row = await put(states, name)
        async with states.session() as session:
            await service.record_poll(session, mailbox, NOW)
        expected = differing(row, polled_at=moment(NOW), failures=0, refusals=0, last_error=None)
        assert states.changed() == {"app.mailboxes": {str(mailbox.id): expected}}, name

        mailbox, row = await put(states, name)
        kept = await fail(states, mailbox, is_refusal=False)
        faulty = differing(row, failures=row["failures"] + 1, refusals=0, last_error="because")
        assert states.changed() == {"app.mailboxes": {str(mailbox.id): faulty}}, name
        assert kept is not None
        assert kept.failures == row["failures"] + 1

        mailbox, row = await put(states, name)
        kept = await fail(states, mailbox, is_refusal=True)
        refusals = row["refusals"] + 1
        refused = differing(row, failures=row["failures"] + 1, refusals=refusals, last_error="because")
        if refusals >= 5:
            refused["disabled_at"] = (row["disabled_at"], moment(NOW))
        assert states.changed() == {"app.mailboxes": {str(mailbox.id): refused}}, name
        assert (kept is None) is (refusals >= 5), name
        async with states.session() as session:
            to_poll = await service.find_mailbox_to_poll(session, workspace_id, mailbox.id)
        assert (to_poll is None) is (refusals >= 5), name


async def test_five_refusals_in_a_row(states: States) -> None:
    """Connection errors and successful polls reset the count, so only five refusals in a row disable a mailbox."""
    walks = {
        "rrrrr": True,
        "rrrr": False,
        "rrrrfrrrr": False,
        "rrrrsrrrr": False,
        "frrrrr": True,
        "rrrrfrrrrr": True,
        "ffffffff": False,
    }
    for walk, is_given_up in walks.items():
        mailbox, _ = await put(states, "new")
        for step in walk:
            if step == "s":
                async with states.session() as session:
                    await service.record_poll(session, mailbox, NOW)
            else:
                await fail(states, mailbox, is_refusal=step == "r")
        row = states.row("mailboxes", str(mailbox.id))
        assert (row["disabled_at"] is not None) is is_given_up, walk
        assert row["failures"] == len(walk.rpartition("s")[2]), walk


async def test_progress_is_stored_only_from_the_state_that_was_read(states: States) -> None:
    """Progress is stored if no other poll has read on; with another UIDVALIDITY or UID, nothing changes."""
    for name in STATES:
        mailbox, row = await put(states, name)
        began = Progress(row["uid_validity"], row["last_uid"])
        reached = Progress(4, 12)
        for read in (Progress(9, began.last_uid), Progress(began.uid_validity, 6), reached, began, began):
            async with states.session() as session:
                left = await service.store_messages(session, mailbox, read, reached, [], public_url="http://x", now=NOW)
            is_first = read == began and left is not None
            expected = differing(row, uid_validity=4, last_uid=12)
            assert states.changed() == ({"app.mailboxes": {str(mailbox.id): expected}} if is_first else {}), name
            if is_first:
                began = reached
        assert began == reached, name


@pytest.mark.parametrize("end", ["deleted", "put again"])
async def test_a_mailbox_that_is_deleted_during_a_poll(app_client: httpx.AsyncClient, states: States, end: str) -> None:
    """A poll of a mailbox that was deleted or replaced stores nothing and gets nothing to read.

    This holds in every state, and a replacement has no failures and inherits the progress in the same folder.
    """
    path = f"/api/workspaces/{states.workspace_id}/mailbox"
    for name in STATES:
        mailbox, row = await put(states, name)
        headers = {"If-Match": (await app_client.get(path)).headers["ETag"]}
        if end == "deleted":
            assert (await app_client.delete(path, headers=headers)).status_code == 204
        else:
            assert (await app_client.put(path, json=BODY, headers=headers)).status_code == 200
        changed = states.changed()
        rows = changed.pop("app.mailboxes")
        assert rows.pop(str(mailbox.id)) == {column: (value, ABSENT) for column, value in row.items()}
        if end == "put again":
            ((new_id, columns),) = rows.items()
            new = {column: after for column, (_, after) in columns.items()}
            facts: Row = {"failures": 0, "refusals": 0, "last_error": None, "disabled_at": None, "polled_at": None}
            facts |= {column: row[column] for column in ("uid_validity", "last_uid", "read_since")}
            assert {column: new[column] for column in facts} == facts, name
            (job,) = added(changed, "scheduled_jobs")
            facts = {"job_type": "poll_mailbox", "payload": {"mailboxId": new_id}, "run_at": moment(NOW)}
            assert {column: job[column] for column in facts} == facts
            del changed["app.scheduled_jobs"]
        assert changed == {}
        began = Progress(row["uid_validity"], row["last_uid"])
        async with states.session() as session:
            assert await service.find_mailbox_to_poll(session, UUID(states.workspace_id), mailbox.id) is None
            reached = Progress(4, 12)
            assert (
                await service.store_messages(session, mailbox, began, reached, [], public_url="http://x", now=NOW)
                is None
            )
            await service.record_poll(session, mailbox, NOW)
            assert await service.record_poll_failure(session, mailbox, "because", is_refusal=True, now=NOW) is None
        assert states.changed() == {}, name
        if end == "deleted":
            assert (await app_client.delete(path, headers=headers)).status_code == 404
            assert states.changed() == {}


async def test_which_progress_a_new_mailbox_inherits(app_client: httpx.AsyncClient, states: States) -> None:
    """Another host, user, folder or earlier date is read from the start; the same with a later date continues."""
    path = f"/api/workspaces/{states.workspace_id}/mailbox"
    cases: list[tuple[Row, tuple[int | None, int], str]] = [
        ({}, (3, 7), "2026-03-01"),
        ({"readSince": "2026-03-01"}, (3, 7), "2026-03-01"),
        ({"readSince": "2026-03-02"}, (3, 7), "2026-03-02"),
        ({"readSince": "2026-02-28"}, (None, 0), "2026-02-28"),
        ({"host": "localhost"}, (None, 0), "2026-03-01"),
        ({"username": "bob"}, (None, 0), "2026-03-04"),
        ({"folder": "Answers"}, (None, 0), "2026-03-04"),
    ]
    for changes, progress, read_since in cases:
        await put(states, "read")
        headers = {"If-Match": (await app_client.get(path)).headers["ETag"]}
        response = await app_client.put(path, json=BODY | changes, headers=headers)
        assert response.status_code == 200, response.text
        (columns,) = (row for row in states.changed()["app.mailboxes"].values() if row["id"][0] is ABSENT)
        shown = (columns["uid_validity"][1], columns["last_uid"][1]), columns["read_since"][1]
        assert shown == (progress, read_since), changes
