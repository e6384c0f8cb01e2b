"""Tests of the metadata of a sync."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import dagster as dg
import pytest

from orchestration.defs.everlytic.assets import _build_cursor, _check_every_record, _check_every_tenant
from orchestration.defs.everlytic.batches import LandingCounts
from orchestration.defs.everlytic.landing import TRANSACTIONS
from orchestration.defs.everlytic.polling import PollResult
from orchestration.defs.everlytic.records import PollWindow
from orchestration.defs.everlytic.reporting import (
    build_sync_metadata,
    format_day_chart,
    format_unreadable_table,
    format_workspace_table,
)
from orchestration.defs.everlytic.resources import Tenant

DAY = date(2026, 3, 2)
WINDOW = PollWindow(
    datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
)


def poll_result(number: int, name: str = "Acme", **fields: object) -> PollResult:
    """Return the result of polling one tenant."""
    return PollResult(Tenant(UUID(int=number), name, "", "", "", ""), **fields)  # type: ignore[arg-type] # fields of Polled


@pytest.mark.parametrize("days", [1, 30, 31, 32])
def test_the_chart_shows_the_last_31_days(days: int) -> None:
    """There is a line for each day, the newest last; of 32 days the oldest is left out."""
    rows = Counter({DAY + timedelta(days=number): 1 for number in range(days)})
    lines = format_day_chart(rows).splitlines()
    assert (lines[0], lines[-1]) == ("```", "```")
    newest = DAY + timedelta(days=days - 1)
    assert lines[1:-1] == [f"{newest - timedelta(days=ago)} {'█' * 40} 1" for ago in reversed(range(min(days, 31)))]


def test_bars_are_proportional_and_never_empty() -> None:
    """The day with most rows has 40 blocks, half as many rows have 20, and one row in a thousand has one block."""
    rows = Counter({DAY: 1000, DAY + timedelta(days=1): 500, DAY + timedelta(days=2): 1, DAY + timedelta(days=3): 38})
    assert [line.count("█") for line in format_day_chart(rows).splitlines()[1:-1]] == [40, 20, 1, 2]


@pytest.mark.parametrize("count", [0, 1, 19, 20, 21])
def test_the_twenty_most_frequent_problems_are_listed(count: int) -> None:
    """The most frequent problems come first, up to twenty; without any there is no table."""
    tenant = poll_result(1, "A|c\nme", unreadable=Counter({f"problem {n}": n + 1 for n in range(count)}))
    table = format_unreadable_table([poll_result(2), tenant])
    if not count:
        assert table == "none"
        return
    lines = [f"| A\\|c me | {number + 1} | problem {number} |" for number in range(count)]
    assert table.splitlines()[2:] == lines[::-1][:20]


def test_each_workspace_has_a_line_with_its_own_numbers() -> None:
    """The line has the workspace's name, its fetched, new, changed and unreadable rows, and its error; | is escaped."""
    table = format_workspace_table(
        [poll_result(1, "A|b", fetched=5, unreadable=Counter({"x": 2, "y": 1})), poll_result(2, "B", error="no | key")],
        {str(UUID(int=1)): (3, 1), str(UUID(int=3)): (9, 9)},
    )
    assert table.splitlines()[2:] == ["| A\\|b | 5 | 3 | 1 | 3 |  |", "| B | 0 | 0 | 0 | 0 | no \\| key |"]


def test_a_sync_without_rows_has_no_dates() -> None:
    """Without a dated row there is neither a date range nor a chart; with one there are both."""
    counts = LandingCounts()
    assert {"date_range", "rows_per_day"}.isdisjoint(build_sync_metadata([], counts, WINDOW))
    counts.by_day[DAY] = 1
    counts.first = counts.last = DAY
    counts.by_workspace["w"] = (2, 3)
    tenants = [
        poll_result(1, error="e"),
        poll_result(2, unreadable=Counter(a=2)),
        poll_result(3, unreadable=Counter(b=1)),
    ]
    metadata = build_sync_metadata(tenants, counts, WINDOW)
    assert metadata["date_range"] == "2026-03-02 to 2026-03-02"
    assert (metadata["new_rows"], metadata["changed_rows"]) == (2, 3)
    assert (metadata["failed_workspaces"], metadata["unreadable_records"]) == (1, 3)
    assert metadata["polled_range"] == "2026-03-01 00:00 to 2026-03-03 00:00 UTC"


def test_a_failed_tenant_or_an_unreadable_record_fails_a_check() -> None:
    """Without problems both checks pass; a failed tenant is an error that names it, an unreadable record a warning."""
    good = [poll_result(1), poll_result(2, "Beta", fetched=7)]
    assert [_check_every_tenant(good).passed, _check_every_record(good).passed] == [True, True]
    bad = [*good, poll_result(3, "Bad", error="Refused.", unreadable=Counter(a=1))]
    tenants, records = _check_every_tenant(bad), _check_every_record(bad)
    assert (tenants.passed, tenants.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert (records.passed, records.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert tenants.metadata["errors"].value == {f"Bad ({UUID(int=3)})": "Refused."}
    assert (tenants.metadata["workspaces"].value, tenants.metadata["failed"].value) == (3, 1)
    assert records.metadata["unreadable_records"].value == 1


def test_the_cursor_of_a_failed_tenant_has_an_error_and_no_end() -> None:
    """A complete poll sets `synced_through`; a failed one sets the error and the rows fetched before it."""
    through = datetime(2026, 3, 2, tzinfo=UTC)
    results = (poll_result(1, fetched=5), poll_result(2, fetched=3, error="no"))
    cursors = [_build_cursor(TRANSACTIONS, result, through) for result in results]
    names = ("resource", "synced_through", "row_count", "error")
    assert [tuple(cursor[name] for name in names) for cursor in cursors] == [
        ("transactions", through, 5, None),
        ("transactions", None, 3, "no"),
    ]
