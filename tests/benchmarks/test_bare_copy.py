import asyncio
from pathlib import Path

import psycopg
import pytest

from benchmarks import leads
from benchmarks.bare_copy import copy_into_leads, copy_into_unindexed, keep_leads, settle
from benchmarks.errors import BenchFailed
from database.roles import owner_url
from salesmatter import accounts
from salesmatter.stack import Database

ROWS = 110
"""A hundred leads, and their neighbours."""


@pytest.fixture
def database(database_url: str) -> Database:
    """A database with some leads."""
    url = owner_url(database_url)
    database = Database(url, url)
    account = asyncio.run(accounts.create(database, name="Bench", email="ann@bench.example", user_name="Ann"))
    leads.fill(database, account.account_id, 100, lambda _: None)
    return database


@pytest.fixture
def kept(database: Database, tmp_path: Path) -> Path:
    """Its leads in a file."""
    assert keep_leads(database, tmp_path / "leads.copy") == ROWS
    return tmp_path / "leads.copy"


def rows_of(database_url: str, table: str) -> list[str]:
    """Each row of a table as text."""
    with psycopg.connect(database_url) as connection:
        found = connection.execute(f"SELECT kept::text FROM {table} AS kept ORDER BY id".encode()).fetchall()
    return [row for (row,) in found]


def test_the_very_rows_come_back(database: Database, database_url: str, kept: Path) -> None:
    """What is copied in are the leads as they were, in place of them and beside them, as often as one likes."""
    before = rows_of(database_url, "app.leads")

    for _ in range(2):
        settle(database)
        assert copy_into_leads(database, kept, ROWS) > 0
        assert copy_into_unindexed(database, kept, ROWS) > 0

    assert len(before) == ROWS
    assert rows_of(database_url, "app.leads") == rows_of(database_url, "app.unindexed") == before


def test_the_tables_are_what_they_are_called(database: Database, database_url: str, kept: Path) -> None:
    """The one baseline pays for the indexes of `leads`, the other for none."""
    copy_into_unindexed(database, kept, ROWS)
    with psycopg.connect(database_url) as connection:
        counted = connection.execute(
            "SELECT tablename, count(*) FROM pg_indexes WHERE tablename IN ('leads', 'unindexed') GROUP BY tablename"
        ).fetchall()
    assert [name for name, _ in counted] == ["leads"]


def test_missing_rows_are_no_figure(database: Database, kept: Path) -> None:
    """A copy of fewer rows than were imported ends the bench."""
    with pytest.raises(BenchFailed, match="COPY brought in 110 rows of 111"):
        copy_into_leads(database, kept, ROWS + 1)
