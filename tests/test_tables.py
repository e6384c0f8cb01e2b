from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest.mock import ANY

import psycopg
import pytest

from tests.tables import ABSENT, BOOKKEEPING, changes, snapshot, unchanged

ACME, BOLT, CORE = (f"00000000-0000-7000-8000-00000000000{letter}" for letter in "abc")
ADD = "INSERT INTO app.accounts (id, name) VALUES (%s, %s)"
RENAME = "UPDATE app.accounts SET name = 'Apex' WHERE id = %s"


def execute(url: str, statement: str, *parameters: object) -> None:
    """Run a statement and commit it."""
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode(), parameters)


@pytest.fixture
def accounts_url(database_url: str) -> str:
    """A database with two accounts, as the owner."""
    execute(database_url, f"{ADD}, (%s, %s)", ACME, "Acme", BOLT, "Bolt")
    return database_url


def test_each_difference_is_named(accounts_url: str) -> None:
    """Two snapshots differ in exactly the rows and columns that were changed, added and deleted between them."""
    before = snapshot(accounts_url)
    execute(accounts_url, RENAME, ACME)
    execute(accounts_url, "DELETE FROM app.accounts WHERE id = %s", BOLT)
    execute(accounts_url, ADD, CORE, "Core")
    differing = changes(before, snapshot(accounts_url), except_tables=BOOKKEEPING)
    assert differing == {
        "app.accounts": {
            ACME: {"name": ("Acme", "Apex"), "updated_at": (ANY, ANY)},
            BOLT: {"id": (BOLT, ABSENT), "name": ("Bolt", ABSENT), "created_at": ANY, "updated_at": ANY},
            CORE: {"id": (ABSENT, CORE), "name": (ABSENT, "Core"), "created_at": ANY, "updated_at": ANY},
        }
    }


@pytest.mark.parametrize(
    ("excepted", "expectation"),
    [
        ({}, pytest.raises(AssertionError, match="Apex")),
        ({"app.accounts": [BOLT]}, pytest.raises(AssertionError, match="Apex")),
        ({"app.accounts": [ACME]}, nullcontext()),
    ],
)
def test_only_excepted_rows_may_change(
    accounts_url: str, excepted: dict[str, list[str]], expectation: AbstractContextManager[Any]
) -> None:
    """A block that changes one row fails, unless just this row is excepted."""
    with expectation, unchanged(accounts_url, except_rows=excepted):
        execute(accounts_url, RENAME, ACME)


def test_rows_of_several_key_columns_have_one_key(accounts_url: str) -> None:
    """A row of the schema everlytic is seen too, under all columns of its primary key."""
    workspace_id = "00000000-0000-7000-8000-00000000000d"
    columns = "id, account_id, name, default_from_name, default_from_email"
    execute(
        accounts_url,
        f"INSERT INTO app.workspaces ({columns}) VALUES (%s, %s, 'Outbound', 'Ann', 'ann@acme.example')",
        *(workspace_id, ACME),
    )
    before = snapshot(accounts_url)
    execute(
        accounts_url,
        "INSERT INTO everlytic.sync_cursors (workspace_id, resource) VALUES (%s, 'transactions')",
        workspace_id,
    )
    differing = changes(before, snapshot(accounts_url), except_tables=BOOKKEEPING)
    assert {table: list(rows) for table, rows in differing.items()} == {
        "everlytic.sync_cursors": [f"{workspace_id} transactions"]
    }
