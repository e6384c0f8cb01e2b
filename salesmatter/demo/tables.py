"""How the demo shows its figures in a terminal: the campaign table, the timeline, the reconciliation."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from salesmatter.demo.judgement import FIGURES
from salesmatter.demo.reconciliation import Reconciliation

CHART_WIDTH = 30
SERIES = (("sent", "cyan"), ("opened", "yellow"), ("replied", "green"))
SHOWN_FAULTS = 10
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
    """Print the campaign table as the analytics API gives it, each count over its rate."""
    table = _table("Campaigns  (GET /api/metrics/{workspaceId}/campaigns)", "campaign")
    for one in campaigns:
        table.add_row(one["name"], *(f"{_count(one[figure])}\n{_rate(one.get(RATES[figure]))}" for figure in FIGURES))
    console.print(table)


def show_timeline(console: Console, days: Sequence[Mapping[str, Any]]) -> None:
    """Print what happened on each day as bars, from the first day on which anything did to the last."""
    eventful = [number for number, day in enumerate(days) if any(day[name] for name, _ in SERIES)]
    days = days[eventful[0] : eventful[-1] + 1] if eventful else []
    most = max((day[name] for day in days for name, _ in SERIES), default=0) or 1
    table = Table(
        title="\nTimeline  (GET /api/metrics/{workspaceId}/timeseries)", title_justify="left", box=None, padding=(0, 1)
    )
    table.add_column("day")
    table.add_column(" · ".join(name for name, _ in SERIES))
    for day in days:
        bars = Text()
        for name, colour in SERIES:
            if day[name]:
                bars.append("█" * max(1, round(day[name] / most * CHART_WIDTH)), colour)
                bars.append(f" {day[name]} ", f"dim {colour}")
        table.add_row(f"{date.fromisoformat(day['date']):%a %d %b}", bars)
    console.print(table)


def show_reconciliation(console: Console, result: Reconciliation) -> None:
    """Print the figures of all sides next to each other, and whom nobody should have mailed."""
    table = _table("Reconciliation", "side")
    sides = (("sandbox", result.sandbox), ("operational", result.operational), ("marts", result.marts))
    for name, figures in sides:
        table.add_row(name, *(f"{figures[figure]:,}" for figure in FIGURES))
    same = [result.sandbox[one] == result.operational[one] == result.marts[one] for one in FIGURES]
    table.add_row("agree", *(Text("yes", "green") if one else Text("NO", "bold red") for one in same))
    console.print(table)
    if not result.mailed_after_stop:
        console.print("Mailed after a stop: nobody.", style="green")
    for fault in result.mailed_after_stop[:SHOWN_FAULTS]:
        console.print(f"Mailed after a stop: {fault}.", style="bold red")


def _table(title: str, first: str) -> Table:
    """Return a table with a column for each figure, narrow enough for 80 characters."""
    table = Table(title=f"\n{title}", title_justify="left", box=None, padding=(0, 1), pad_edge=False)
    table.add_column(first)
    for figure in FIGURES:
        table.add_column(figure.replace("unsubscribed", "unsub."), justify="right", no_wrap=True)
    return table


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _rate(value: float | None) -> str:
    return "" if value is None else f"{float(value):.1%}"
