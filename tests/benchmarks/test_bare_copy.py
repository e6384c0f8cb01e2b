import asyncio
from pathlib import Path

import psycopg
import pytest

from benchmarks import leads
from benchmarks.bare_copy import copy_into_leads, copy_into_unindexed, export_leads, vacuum_and_checkpoint
from benchmarks.errors import BenchmarkError
from database.roles import owner_url
from salesmatter import accounts
from salesmatter.stack import Database

ROWS = 110
"""A hundred leads, and ten of a second workspace."""


@pytest.fixture
def database(database_url: str) -> Database:
    """A database with leads."""
    url = owner_url(database_url)
    database = Database(url, url)
    account = asyncio.run(accounts.create_account(database, name="Bench", email="ann@bench.example", user_name="Ann"))
    leads.create_leads(database, account.account_id, 100, lambda _: None)
    return database


@pytest.fixture
def exported_leads(database: Database, tmp_path: Path) -> Path:
    """A file with its leads."""
    assert export_leads(database, tmp_path / "leads.copy") == ROWS
    return tmp_path / "leads.copy"


def fetch_rows(database_url: str, table: str) -> list[str]:
    """Return each row of a table as text."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(f"SELECT lead::text FROM {table} AS lead ORDER BY id".encode()).fetchall()
    return [row for (row,) in rows]


def test_the_same_rows_are_copied(database: Database, database_url: str, exported_leads: Path) -> None:
    """Both baselines can run repeatedly, and their tables have the same rows as `leads` before."""
    before = fetch_rows(database_url, "app.leads")

    for _ in range(2):
        vacuum_and_checkpoint(database)
        assert copy_into_leads(database, exported_leads, ROWS) > 0
        assert copy_into_unindexed(database, exported_leads, ROWS) > 0

    assert len(before) == ROWS
    assert fetch_rows(database_url, "app.leads") == fetch_rows(database_url, "app.unindexed") == before


def test_only_one_baseline_has_indexes(database: Database, database_url: str, exported_leads: Path) -> None:
    """`leads` has indexes and the table `unindexed` has none."""
    copy_into_unindexed(database, exported_leads, ROWS)
    with psycopg.connect(database_url) as connection:
        counted = connection.execute(
            "SELECT tablename, count(*) FROM pg_indexes WHERE tablename IN ('leads', 'unindexed') GROUP BY tablename"
        ).fetchall()
    assert [name for name, _ in counted] == ["leads"]


def test_missing_rows_are_an_error(database: Database, exported_leads: Path) -> None:
    """A copy of fewer rows than expected raises an error."""
    with pytest.raises(BenchmarkError, match="COPY inserted 110 of 111 rows"):
        copy_into_leads(database, exported_leads, ROWS + 1)
