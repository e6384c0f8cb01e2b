"""The SQL functions of the database, called as the owner, without row-level security."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from database.base import Base
from tests.database.rows import insert, row_for
from tests.tables import ABSENT, changes, snapshot
from tests.two_workspaces import NOW, TwoWorkspaces

LOGGED_ALONE = frozenset({"app.changes"})


def enter(
    connection: psycopg.Connection[Any], credential: str, workspace_id: UUID
) -> list[tuple[UUID, UUID, str | None]]:
    """Authenticate with a credential, and return (account, user, name of the workspace)."""
    statement = "SELECT account_id, user_id, (workspace).name FROM app.authenticate_credential(%s, %s, '5s', '1.1')"
    return connection.execute(statement, [credential, workspace_id]).fetchall()


def set_credentials(world: TwoWorkspaces) -> None:
    """Set the API key, subject and workspace name of each of the two tenants."""
    for ids, label in ((world.ids, "acme"), (world.neighbour, "bolt")):
        world.set("app.api_keys", ids["app.api_keys"], secret_hash=f"key of {label}")
        world.set("app.users", ids["app.users"], subject_hash=f"subject of {label}")
        world.set("app.workspaces", ids["app.workspaces"], name=label)


def test_a_credential_authenticates_for_its_own_account(two_workspaces: TwoWorkspaces) -> None:
    """A key and a subject authenticate for the account of their user; revoked and unknown credentials for none."""
    set_credentials(two_workspaces)
    owner = two_workspaces.owner
    for ids, label in ((two_workspaces.ids, "acme"), (two_workspaces.neighbour, "bolt")):
        for credential in (f"key of {label}", f"subject of {label}"):
            assert enter(owner, credential, ids["app.workspaces"]) == [(ids["app.accounts"], ids["app.users"], label)]
    assert enter(owner, "unknown", two_workspaces.id) == []
    two_workspaces.set("app.api_keys", two_workspaces.ids["app.api_keys"], revoked_at=NOW)
    assert enter(owner, "key of acme", two_workspaces.id) == []


def test_a_deleted_workspace_is_not_entered(two_workspaces: TwoWorkspaces) -> None:
    """With a deleted or unknown workspace, the caller is authenticated for the account and no workspace."""
    set_credentials(two_workspaces)
    two_workspaces.set("app.workspaces", two_workspaces.id, deleted_at=NOW)
    row = (two_workspaces.ids["app.accounts"], two_workspaces.ids["app.users"], None)
    assert enter(two_workspaces.owner, "key of acme", two_workspaces.id) == [row]
    assert enter(two_workspaces.owner, "key of acme", uuid4()) == [row]


@pytest.mark.parametrize(
    ("before", "is_recorded"),
    [(None, True), (timedelta(minutes=1), False), (timedelta(minutes=1, microseconds=1), True), (timedelta(0), False)],
)
def test_the_use_of_a_key_is_recorded_once_a_minute(
    two_workspaces: TwoWorkspaces, before: timedelta | None, is_recorded: bool
) -> None:
    """`last_used_at` of a key that was used more than a minute ago, or never, is set to now; no other key changes."""
    set_credentials(two_workspaces)
    ids, owner = two_workspaces.ids, two_workspaces.owner
    with owner.transaction():
        (now,) = owner.execute("SELECT now()").fetchone() or (NOW,)
        last = None if before is None else now - before
        owner.execute("UPDATE app.api_keys SET last_used_at = %s", [last])
        enter(owner, "key of acme", two_workspaces.id)
        used: dict[UUID, datetime | None] = dict(owner.execute("SELECT id, last_used_at FROM app.api_keys").fetchall())
    own, other = ids["app.api_keys"], two_workspaces.neighbour["app.api_keys"]
    assert used == {own: now if is_recorded else last, other: last}


def test_deleting_an_import_deletes_its_rows(two_workspaces: TwoWorkspaces) -> None:
    """The rows and changes of a deleted import are deleted, and those of other imports and workspaces are not."""
    own, other = two_workspaces.ids["app.lead_imports"], uuid4()
    rows = {}
    for table in ("app.lead_import_rows", "app.lead_import_changes"):
        two_workspaces.owner.execute(f"DELETE FROM {table}")
        model = Base.metadata.tables[table]
        for ids, import_id in ((two_workspaces.ids, own), (two_workspaces.ids, other), (two_workspaces.neighbour, own)):
            row = row_for(model, ids, "acme") | {"import_id": import_id, "line_number": 7}
            insert(two_workspaces.owner, model, row, dict(ids))
        rows[table] = f"{two_workspaces.id} {own} 7"
    before = snapshot(two_workspaces.url)
    two_workspaces.owner.execute("DELETE FROM app.lead_imports WHERE id = %s", [own])
    removed = changes(before, snapshot(two_workspaces.url), except_tables=LOGGED_ALONE)
    for table, key in rows.items():
        assert list(removed[table]) == [key]
        assert removed[table][key]["line_number"] == (7, ABSENT)


def test_a_slot_is_enqueued_once_for_every_workspace(two_workspaces: TwoWorkspaces) -> None:
    """Each workspace that is not deleted gets one job per slot, however often the slot is enqueued."""
    two_workspaces.set("app.workspaces", two_workspaces.neighbour["app.workspaces"], deleted_at=NOW)
    owner = two_workspaces.owner
    made = [owner.execute("SELECT app.enqueue_slot('sweep', %s)", [NOW]).fetchone() for _ in range(2)]
    assert made == [(1,), (0,)]
    jobs = owner.execute("SELECT workspace_id, run_at, dedupe_key FROM app.scheduled_jobs WHERE job_type = 'sweep'")
    assert jobs.fetchall() == [(two_workspaces.id, NOW, "slot:2026-03-04T10:00:00.000000Z")]


def test_the_use_of_keys_is_not_logged(two_workspaces: TwoWorkspaces) -> None:
    """The change log has no entry for the use of keys; another change of a key is logged under its account only."""
    owner = two_workspaces.owner
    owner.execute("TRUNCATE app.changes")
    owner.execute("UPDATE app.api_keys SET last_used_at = now()")
    assert owner.execute("SELECT workspace_id FROM app.changes").fetchall() == []
    owner.execute(
        "UPDATE app.api_keys SET last_used_at = now() + interval '1 second',"
        " revoked_at = CASE WHEN id = %s THEN now() END",
        [two_workspaces.ids["app.api_keys"]],
    )
    changes_logged = owner.execute("SELECT workspace_id, table_name FROM app.changes").fetchall()
    assert changes_logged == [(two_workspaces.ids["app.accounts"], "api_keys")]


def test_sends_of_unknown_outcome_are_counted(two_workspaces: TwoWorkspaces) -> None:
    """The sends of unknown outcome of all workspaces are counted, with the time of the oldest; other sends are not."""
    owner = two_workspaces.owner
    owner.execute("DELETE FROM app.send_attempts")
    ages = {"claimed": 5, "accepted": 4, "rejected": 3, "unknown": 2}
    for outcome, hours in ages.items():
        draft_id = two_workspaces.add_draft()
        two_workspaces.add(
            "app.send_attempts", draft_id=draft_id, outcome=outcome, claimed_at=NOW - hours * timedelta(hours=1)
        )
    neighbour = two_workspaces.neighbour
    draft_id = two_workspaces.add_draft(neighbour)
    two_workspaces.add("app.send_attempts", neighbour, draft_id=draft_id, outcome="unknown", claimed_at=NOW)
    assert owner.execute("SELECT * FROM app.unknown_sends()").fetchall() == [(2, NOW - timedelta(hours=2))]
