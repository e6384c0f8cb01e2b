"""What an operator is shown of a sync, line by line."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import dagster as dg
import pytest

from orchestration.defs.everlytic.assets import _cursor, _every_record, _every_tenant
from orchestration.defs.everlytic.batches import Landed
from orchestration.defs.everlytic.landing import TRANSACTIONS
from orchestration.defs.everlytic.polling import Polled
from orchestration.defs.everlytic.records import Window
from orchestration.defs.everlytic.reporting import day_chart, sync_metadata, unreadable_table, workspace_table
from orchestration.defs.everlytic.resources import Tenant

DAY = date(2026, 3, 2)
WINDOW = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))


def polled(number: int, name: str = "Acme", **fields: object) -> Polled:
    """What one tenant answered."""
    return Polled(Tenant(UUID(int=number), name, "", "", "", ""), **fields)  # type: ignore[arg-type] # fields of Polled


@pytest.mark.parametrize("days", [1, 30, 31, 32])
def test_the_chart_shows_the_last_31_days(days: int) -> None:
    """A line for each day, the newest last; of 32 days the oldest has none."""
    rows = Counter({DAY + timedelta(days=number): 1 for number in range(days)})
    lines = day_chart(rows).splitlines()
    assert (lines[0], lines[-1]) == ("```", "```")
    newest = DAY + timedelta(days=days - 1)
    assert lines[1:-1] == [f"{newest - timedelta(days=ago)} {'█' * 40} 1" for ago in reversed(range(min(days, 31)))]


def test_bars_are_as_long_as_their_share_and_never_empty() -> None:
    """The most rows are 40 blocks, half as many 20, and a single row among a thousand one."""
    rows = Counter({DAY: 1000, DAY + timedelta(days=1): 500, DAY + timedelta(days=2): 1, DAY + timedelta(days=3): 38})
    assert [line.count("█") for line in day_chart(rows).splitlines()[1:-1]] == [40, 20, 1, 2]


@pytest.mark.parametrize("count", [0, 1, 19, 20, 21])
def test_the_twenty_most_frequent_unreadable_things_are_listed(count: int) -> None:
    """The most frequent come first, up to twenty; without any there is no table."""
    tenant = polled(1, "A|c\nme", unreadable=Counter({f"what {number}": number + 1 for number in range(count)}))
    table = unreadable_table([polled(2), tenant])
    if not count:
        assert table == "none"
        return
    lines = [f"| A\\|c me | {number + 1} | what {number} |" for number in range(count)]
    assert table.splitlines()[2:] == lines[::-1][:20]


def test_each_workspace_has_a_line_with_its_own_numbers() -> None:
    """Fetched, new, changed and unreadable rows and the error stand beside the workspace's name, its bars escaped."""
    table = workspace_table(
        [polled(1, "A|b", fetched=5, unreadable=Counter({"x": 2, "y": 1})), polled(2, "B", error="no | key")],
        {str(UUID(int=1)): (3, 1), str(UUID(int=3)): (9, 9)},
    )
    assert table.splitlines()[2:] == ["| A\\|b | 5 | 3 | 1 | 3 |  |", "| B | 0 | 0 | 0 | 0 | no \\| key |"]


def test_a_sync_that_brought_nothing_has_no_dates() -> None:
    """Without a dated row there is neither a range of dates nor a chart; with one there are both."""
    landed = Landed()
    assert {"date_range", "rows_per_day"}.isdisjoint(sync_metadata([], landed, WINDOW))
    landed.by_day[DAY] = 1
    landed.first = landed.last = DAY
    landed.by_workspace["w"] = (2, 3)
    tenants = [polled(1, error="e"), polled(2, unreadable=Counter(a=2)), polled(3, unreadable=Counter(b=1))]
    metadata = sync_metadata(tenants, landed, WINDOW)
    assert metadata["date_range"] == "2026-03-02 to 2026-03-02"
    assert (metadata["new_rows"], metadata["changed_rows"]) == (2, 3)
    assert (metadata["failed_workspaces"], metadata["unreadable_records"]) == (1, 3)
    assert metadata["asked_for"] == "2026-03-01 00:00 to 2026-03-03 00:00 UTC"


def test_one_tenant_that_failed_and_one_record_that_could_not_be_read_are_checks_that_fail() -> None:
    """All well, both checks pass; a failed tenant is an error that names it, an unreadable record a warning."""
    well = [polled(1), polled(2, "Beta", fetched=7)]
    assert [_every_tenant(well).passed, _every_record(well).passed] == [True, True]
    ill = [*well, polled(3, "Ill", error="Unauthorized: no.", unreadable=Counter(a=1))]
    tenants, records = _every_tenant(ill), _every_record(ill)
    assert (tenants.passed, tenants.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert (records.passed, records.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert tenants.metadata["errors"].value == {f"Ill ({UUID(int=3)})": "Unauthorized: no."}
    assert (tenants.metadata["workspaces"].value, tenants.metadata["failed"].value) == (3, 1)
    assert records.metadata["unreadable_records"].value == 1


def test_a_cursor_of_a_failed_tenant_has_no_end() -> None:
    """What was polled to its end says until when; what failed says why, and how much came before."""
    through = datetime(2026, 3, 2, tzinfo=UTC)
    said = [_cursor(TRANSACTIONS, one, through) for one in (polled(1, fetched=5), polled(2, fetched=3, error="no"))]
    names = ("resource", "synced_through", "row_count", "error")
    assert [tuple(cursor[name] for name in names) for cursor in said] == [
        ("transactions", through, 5, None),
        ("transactions", None, 3, "no"),
    ]
