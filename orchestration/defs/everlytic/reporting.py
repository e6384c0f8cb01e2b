"""What an operator sees of a sync: counts, the date range, a table per workspace, a small chart."""

from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl

from orchestration.defs.everlytic.landing import Landing
from orchestration.defs.everlytic.polling import Polled

CHART_WIDTH = 40
CHART_DAYS = 31


def sync_metadata(
    landing: Landing, polled: Sequence[Polled], frame: pl.DataFrame, landed: Mapping[str, tuple[int, int]]
) -> dict[str, dg.MetadataValue | int | str]:
    """Return the metadata of one materialisation."""
    days = frame.get_column(landing.dated_by).drop_nulls()
    metadata: dict[str, dg.MetadataValue | int | str] = {
        "dagster/row_count": frame.height,
        "new_rows": sum(new for new, _ in landed.values()),
        "changed_rows": sum(changed for _, changed in landed.values()),
        "failed_workspaces": sum(one.error is not None for one in polled),
        "workspaces": dg.MetadataValue.md(workspace_table(polled, landed)),
    }
    if not days.is_empty():
        metadata["date_range"] = f"{days.min()!s} to {days.max()!s}"
        metadata["rows_per_day"] = dg.MetadataValue.md(day_chart(days))
    return metadata


def workspace_table(polled: Sequence[Polled], landed: Mapping[str, tuple[int, int]]) -> str:
    """Return a markdown table: one line per workspace with what came, what was new, and what went wrong."""
    lines = ["| workspace | fetched | new | changed | error |", "| --- | ---: | ---: | ---: | --- |"]
    for one in polled:
        new, changed = landed.get(str(one.tenant.workspace_id), (0, 0))
        name, error = _cell(one.tenant.name), _cell(one.error or "")
        lines.append(f"| {name} | {len(one.rows)} | {new} | {changed} | {error} |")
    return "\n".join(lines)


def day_chart(moments: pl.Series) -> str:
    """Return a bar per day, the newest last, as a markdown code block."""
    counted = moments.cast(pl.Date).alias("day").value_counts().sort("day").tail(CHART_DAYS)
    most = counted.get_column("count").max()
    assert isinstance(most, int)
    bars = [f"{day} {'█' * max(round(CHART_WIDTH * count / most), 1)} {count}" for day, count in counted.iter_rows()]
    return "\n".join(["```", *bars, "```"])


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
