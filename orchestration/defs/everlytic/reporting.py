"""What an operator sees of a sync: counts, the date range, a table per workspace, a small chart."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

import dagster as dg

from orchestration.defs.everlytic.batches import Landed
from orchestration.defs.everlytic.polling import Polled
from orchestration.defs.everlytic.records import Window

CHART_WIDTH = 40
CHART_DAYS = 31
SENTENCES = 20
"""How many different things that could not be read a check lists."""


def sync_metadata(polled: Sequence[Polled], landed: Landed, window: Window) -> dict[str, dg.MetadataValue | int | str]:
    """Return the metadata of one materialisation."""
    metadata: dict[str, dg.MetadataValue | int | str] = {
        "dagster/row_count": landed.rows,
        "new_rows": landed.new,
        "changed_rows": landed.changed,
        "failed_workspaces": sum(one.error is not None for one in polled),
        "unreadable_records": sum(one.unreadable.total() for one in polled),
        "asked_for": f"{window.since:%Y-%m-%d %H:%M} to {window.until:%Y-%m-%d %H:%M} UTC",
        "workspaces": dg.MetadataValue.md(workspace_table(polled, landed.by_workspace)),
    }
    if landed.by_day:
        metadata["date_range"] = f"{landed.first!s} to {landed.last!s}"
        metadata["rows_per_day"] = dg.MetadataValue.md(day_chart(landed.by_day))
    return metadata


def workspace_table(polled: Sequence[Polled], landed: Mapping[str, tuple[int, int]]) -> str:
    """Return a markdown table: one line per workspace with what came, what was new, and what went wrong."""
    lines = [
        "| workspace | fetched | new | changed | unreadable | error |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for one in polled:
        new, changed = landed.get(str(one.tenant.workspace_id), (0, 0))
        name, error = _cell(one.tenant.name), _cell(one.error or "")
        lines.append(f"| {name} | {one.fetched} | {new} | {changed} | {one.unreadable.total()} | {error} |")
    return "\n".join(lines)


def unreadable_table(polled: Sequence[Polled]) -> str:
    """Return a markdown table: how often each workspace's records could not be read, and in what way."""
    told = [(one.tenant.name, sentence, times) for one in polled for sentence, times in one.unreadable.items()]
    lines = ["| workspace | records | what |", "| --- | ---: | --- |"]
    told.sort(key=lambda line: -line[2])
    lines += [f"| {_cell(name)} | {times} | {_cell(sentence)} |" for name, sentence, times in told[:SENTENCES]]
    return "\n".join(lines) if told else "none"


def day_chart(rows: Counter[date]) -> str:
    """Return a bar per day, the newest last, as a markdown code block."""
    days = sorted(rows)[-CHART_DAYS:]
    most = max(rows[day] for day in days)
    bars = [f"{day} {'█' * max(round(CHART_WIDTH * rows[day] / most), 1)} {rows[day]}" for day in days]
    return "\n".join(["```", *bars, "```"])


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
