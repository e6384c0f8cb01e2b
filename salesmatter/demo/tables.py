"""Prints the demo's results: the campaign table, the timeline and the reconciliation."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from salesmatter.demo.message_counts import FIGURES
from salesmatter.demo.reconciliation import Reconciliation

CHART_WIDTH = 30
SERIES = (("sent", "cyan"), ("opened", "yellow"), ("replied", "green"))
MAX_LISTED_FAULTS = 10
RATES = {
    "sent": "",
    "delivered": "deliveryRate",
    "bounced": "bounceRate",
    "opened": "openRate",
    "clicked": "clickRate",
    "replied": "replyRate",
    "unsubscribed": "unsubscribeRate",
}


def show_campaigns(console: Console, campaigns: Sequence[Mapping[str, Any]]) -> None:
    """Print the campaigns of the analytics API, each count above its rate."""
    table = _build_figure_table("Campaigns  (GET /api/metrics/{workspaceId}/campaigns)", "campaign")
    for campaign in campaigns:
        cells = [
            f"{_format_count(campaign[figure])}\n{_format_rate(campaign.get(RATES[figure]))}" for figure in FIGURES
        ]
        table.add_row(campaign["name"], *cells)
    console.print(table)


def show_timeline(console: Console, days: Sequence[Mapping[str, Any]]) -> None:
    """Print the counts of each day as bars, from the first day with a count to the last."""
    active_days = [number for number, day in enumerate(days) if any(day[name] for name, _ in SERIES)]
    days = days[active_days[0] : active_days[-1] + 1] if active_days else []
    max_count = max((day[name] for day in days for name, _ in SERIES), default=0) or 1
    table = Table(
        title="\nTimeline  (GET /api/metrics/{workspaceId}/timeseries)", title_justify="left", box=None, padding=(0, 1)
    )
    table.add_column("day")
    table.add_column(" · ".join(name for name, _ in SERIES))
    for day in days:
        bars = Text()
        for name, colour in SERIES:
            if day[name]:
                bars.append("█" * max(1, round(day[name] / max_count * CHART_WIDTH)), colour)
                bars.append(f" {day[name]} ", f"dim {colour}")
        table.add_row(f"{date.fromisoformat(day['date']):%a %d %b}", bars)
    console.print(table)


def show_reconciliation(console: Console, result: Reconciliation) -> None:
    """Print the figures of all sources, and the sends after a stop."""
    table = _build_figure_table("Reconciliation", "source")
    sources = (("sandbox", result.sandbox), ("operational", result.operational), ("marts", result.marts))
    for name, figures in sources:
        table.add_row(name, *(f"{figures[figure]:,}" for figure in FIGURES))
    agreements = [result.sandbox[name] == result.operational[name] == result.marts[name] for name in FIGURES]
    table.add_row("agree", *(Text("yes", "green") if agrees else Text("NO", "bold red") for agrees in agreements))
    console.print(table)
    if not result.sends_after_stop:
        console.print("Mailed after a stop: 0.", style="green")
    for fault in result.sends_after_stop[:MAX_LISTED_FAULTS]:
        console.print(f"Mailed after a stop: {fault}.", style="bold red")


def _build_figure_table(title: str, first_column: str) -> Table:
    """Return a table with a column for each figure, at most 80 characters wide."""
    table = Table(title=f"\n{title}", title_justify="left", box=None, padding=(0, 1), pad_edge=False)
    table.add_column(first_column)
    for figure in FIGURES:
        table.add_column(figure.replace("unsubscribed", "unsub."), justify="right", no_wrap=True)
    return table


def _format_count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _format_rate(value: float | None) -> str:
    return "" if value is None else f"{float(value):.1%}"
