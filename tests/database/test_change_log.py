"""Each write to a table is recorded in the change log under its tenant."""

from uuid import UUID

import pytest
from psycopg import sql

from tests.database.rows import TABLES, quote_table_name
from tests.two_workspaces import TwoWorkspaces

OF_ACCOUNTS = frozenset({"app.accounts", "app.api_keys", "app.users"})
"""Recorded under the account's id."""
OF_WORKSPACES = frozenset(
    {
        *("app.ai_usage", "app.email_drafts", "app.email_events", "app.enrollment_events"),
        *("app.everlytic_connections", "app.lead_enrollments", "app.lead_events", "app.lead_import_blocks"),
        *("app.lead_import_changes", "app.lead_import_rows", "app.lead_imports", "app.lead_lists", "app.leads"),
        *("app.mailboxes", "app.replies", "app.reply_corrections", "app.scheduled_jobs", "app.send_attempts"),
        *("app.send_settlements", "app.sequence_steps", "app.sequences", "app.suppression_removals"),
        *("app.suppressions", "everlytic.campaign_reports", "everlytic.sync_cursors"),
    }
)
"""Recorded under the workspace's id."""
LOGGED = OF_ACCOUNTS | OF_WORKSPACES | {"app.workspaces"}


def owners(world: TwoWorkspaces, table: str, *, is_neighbour: bool = False) -> set[UUID]:
    """Return the ids under which a change of a row is recorded."""
    ids = world.neighbour if is_neighbour else world.ids
    account, workspace = {ids["app.accounts"]}, {ids["app.workspaces"]}
    return account if table in OF_ACCOUNTS else workspace if table in OF_WORKSPACES else account | workspace


def take_changes(world: TwoWorkspaces) -> set[tuple[UUID, str]]:
    """Return the (owner, table) pairs of the change log, and truncate it."""
    rows = world.owner.execute("SELECT workspace_id, table_name FROM app.changes").fetchall()
    world.owner.execute("TRUNCATE app.changes")
    return set(rows)


def test_every_insert_is_recorded(two_workspaces: TwoWorkspaces) -> None:
    """An insert into any table that the API reads is recorded under its workspace, its account, or both."""
    assert take_changes(two_workspaces) == {
        (owner, table.partition(".")[2])
        for table in LOGGED
        for is_neighbour in (False, True)
        for owner in owners(two_workspaces, table, is_neighbour=is_neighbour)
    }


@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {} WHERE {} = %s", "DELETE FROM {} WHERE {} = %s"])
def test_every_update_and_delete_is_recorded(two_workspaces: TwoWorkspaces, statement: str) -> None:
    """An update or delete is recorded under its own tenant, and not under another."""
    missing, other_tenants = [], set()
    neighbour = {two_workspaces.neighbour["app.accounts"], two_workspaces.neighbour["app.workspaces"]}
    take_changes(two_workspaces)
    for table in reversed([table for table in TABLES if str(table) in LOGGED]):
        is_account = str(table) in OF_ACCOUNTS
        key = {"app.accounts": "id", "app.workspaces": "id"}.get(
            str(table), "account_id" if is_account else "workspace_id"
        )
        column = sql.Identifier("name" if str(table) == "app.api_keys" else key)
        value = sql.Literal("renamed") if str(table) == "app.api_keys" else column
        parts = (
            [quote_table_name(table), column, value] if statement.startswith("UPDATE") else [quote_table_name(table)]
        )
        tenant = two_workspaces.ids["app.accounts" if is_account else "app.workspaces"]
        changed = two_workspaces.owner.execute(sql.SQL(statement).format(*parts, sql.Identifier(key)), [tenant])
        assert changed.rowcount == 1, f"in {table}"
        changes = take_changes(two_workspaces)
        missing += [str(table) for owner in owners(two_workspaces, str(table)) if (owner, table.name) not in changes]
        other_tenants |= {name for owner, name in changes if owner in neighbour}
    assert (missing, other_tenants) == ([], set())


@pytest.mark.parametrize("table", ["app.suppressions", "app.suppression_removals"])
def test_what_counts_for_an_account_is_recorded_under_it(two_workspaces: TwoWorkspaces, table: str) -> None:
    """A suppression of the whole account wakes the live queries of all its workspaces, by the account's id alone."""
    take_changes(two_workspaces)
    two_workspaces.add(table, workspace_id=None)
    assert take_changes(two_workspaces) == {(two_workspaces.account_id, table.partition(".")[2])}
