"""Builds the metadata of a sync for Dagster: counts, the date range, a table of workspaces and a chart of days."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

import dagster as dg

from orchestration.defs.everlytic.batches import LandingCounts
from orchestration.defs.everlytic.polling import PollResult
from orchestration.defs.everlytic.records import PollWindow

CHART_WIDTH = 40
MAX_CHART_DAYS = 31
MAX_PROBLEMS = 20
"""How many kinds of unreadable records a check lists."""


def build_sync_metadata(
    results: Sequence[PollResult], counts: LandingCounts, window: PollWindow
) -> dict[str, dg.MetadataValue | int | str]:
    """Return the metadata of one materialisation."""
    metadata: dict[str, dg.MetadataValue | int | str] = {
        "dagster/row_count": counts.rows,
        "new_rows": counts.new_rows,
        "changed_rows": counts.changed_rows,
        "failed_workspaces": sum(result.error is not None for result in results),
        "unreadable_records": sum(result.unreadable.total() for result in results),
        "polled_range": f"{window.since:%Y-%m-%d %H:%M} to {window.until:%Y-%m-%d %H:%M} UTC",
        "workspaces": dg.MetadataValue.md(format_workspace_table(results, counts.by_workspace)),
    }
    if counts.by_day:
        metadata["date_range"] = f"{counts.first!s} to {counts.last!s}"
        metadata["rows_per_day"] = dg.MetadataValue.md(format_day_chart(counts.by_day))
    return metadata


def format_workspace_table(results: Sequence[PollResult], counts: Mapping[str, tuple[int, int]]) -> str:
    """Return a markdown table with one line per workspace; `counts` maps workspace ids to (new, changed) rows."""
    lines = [
        "| workspace | fetched | new | changed | unreadable | error |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for result in results:
        new, changed = counts.get(str(result.tenant.workspace_id), (0, 0))
        name, error = _escape_cell(result.tenant.name), _escape_cell(result.error or "")
        lines.append(f"| {name} | {result.fetched} | {new} | {changed} | {result.unreadable.total()} | {error} |")
    return "\n".join(lines)


def format_unreadable_table(results: Sequence[PollResult]) -> str:
    """Return a markdown table of the most frequent problems: workspace, number of records, problem."""
    problems = [
        (result.tenant.name, problem, count) for result in results for problem, count in result.unreadable.items()
    ]
    lines = ["| workspace | records | problem |", "| --- | ---: | --- |"]
    problems.sort(key=lambda row: -row[2])
    lines += [
        f"| {_escape_cell(name)} | {count} | {_escape_cell(problem)} |"
        for name, problem, count in problems[:MAX_PROBLEMS]
    ]
    return "\n".join(lines) if problems else "none"


def format_day_chart(rows: Counter[date]) -> str:
    """Return a bar chart of the newest days, the newest last, as a markdown code block."""
    days = sorted(rows)[-MAX_CHART_DAYS:]
    max_rows = max(rows[day] for day in days)
    bars = [f"{day} {'█' * max(round(CHART_WIDTH * rows[day] / max_rows), 1)} {rows[day]}" for day in days]
    return "\n".join(["```", *bars, "```"])


def _escape_cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
