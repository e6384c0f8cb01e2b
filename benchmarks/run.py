"""Runs a benchmark and prints its figures."""

import json
import logging
import os
import time

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Report
from benchmarks.registry import Bench
from benchmarks.sizes import Size
from egress.settings import allow_loopback
from salesmatter.interrupts import interrupt_on_stop_signals

TABLE_WIDTH = 120
"""The width when the output is not a terminal, so that logs do not wrap the table."""


def run(name: str, bench: Bench, size: Size, *, as_json: bool) -> int:
    """Run a benchmark for the command line; it also cleans up when it is interrupted. Raises StartError."""
    interrupt_on_stop_signals()
    # psycopg warns about statements that an interrupt cancels; their database is dropped anyway.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    return measure_and_print(name, bench, size, as_json=as_json)


def measure_and_print(name: str, bench: Bench, size: Size, *, as_json: bool) -> int:
    """Print the figures of a benchmark as a table or as one JSON object; its progress goes to standard error.

    Returns 0, or 1 when a target is missed. Raises StartError.
    """
    # The servers of benchmarks run on this machine; processes that a benchmark starts inherit this.
    os.environ.update(allow_loopback())
    console = Console(stderr=True)
    started, load = time.monotonic(), os.getloadavg()[0]

    def progress(sentence: str) -> None:
        console.print(f"{time.monotonic() - started:6.1f} s  {sentence}", style="dim", highlight=False)

    report = Report(name, size, bench.run(size, progress))
    progress("Done.")
    if as_json:
        print(json.dumps(report.as_json(), ensure_ascii=False))  # noqa: T201 - the requested JSON
    else:
        output = Console()
        if not output.is_terminal:
            output = Console(width=TABLE_WIDTH)
        output.print(_table(report, bench.description))
        output.print(f"{os.cpu_count()} processors, load {load:.2f} before the start.", style="dim", highlight=False)
    return 0 if report.ok else 1


def _table(report: Report, description: str) -> Table:
    table = Table(title=f"{report.bench}, {report.size}: {description}", title_justify="left")
    table.add_column("figure")
    for name in ("value", "baseline", "ratio", "target", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for figure in report.figures:
        table.add_row(
            figure.figure,
            _with_unit(figure.value, figure.unit),
            "" if figure.baseline is None else _with_unit(figure.baseline, figure.unit),
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            _target(figure),
            "" if figure.target is None else ("[green]ok" if figure.ok else "[bold red]missed"),
        )
    return table


def _with_unit(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 or value == int(value) else f"{value:.3g} {unit}"  # noqa: PLR2004


def _target(figure: Figure) -> str:
    if figure.at_most is not None:
        return f"≤ {figure.at_most:g}"
    return "" if figure.at_least is None else f"≥ {figure.at_least:g}"
