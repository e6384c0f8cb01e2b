"""Prints the scores of the labelled files: `python -m tests.evals.csv_mapping [--half tuned] [--write-baseline]`."""

import argparse
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from ai.workflows.csv_mapping.state import SURE
from tests.evals.baseline import write_baseline
from tests.evals.csv_mapping.layouts import HALVES, layouts
from tests.evals.csv_mapping.score import BASELINE, Judged, by_layout, judge, share_right


def table(title: str, judged: Sequence[Judged], group: Callable[[Judged], str]) -> Table:
    """Return the shares of columns that are right, by group and in total."""
    shown = Table("", "columns", "right", "share", title=title, title_justify="left")
    groups: dict[str, list[Judged]] = {}
    for one in judged:
        groups.setdefault(group(one), []).append(one)
    for name, ones in [*sorted(groups.items()), ("total", list(judged))]:
        shown.add_row(name, str(len(ones)), str(sum(one.is_right for one in ones)), f"{share_right(ones):.1%}")
    return shown


def print_scores(console: Console, judged: Sequence[Judged]) -> None:
    """Print the scores by layout, target and confidence, and each column that is wrong."""
    by = {
        "By half": lambda one: one.layout.half,
        "By layout": lambda one: one.layout.name,
        "By target": lambda one: " or ".join(sorted(one.allowed)),
        "By confidence": lambda one: "sure" if one.mapping.confidence >= SURE else "unsure: a model is asked",
    }
    for title, group in by.items():
        console.print(table(title, judged, group))
    for one in judged:
        if not one.is_right:
            console.print(f"{one} ({one.mapping.confidence:.0%})", highlight=False, markup=False)


def main() -> None:
    """Score all layouts, or one half of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.evals.csv_mapping")
    parser.add_argument("--half", choices=HALVES, help="only this half; never with --write-baseline")
    parser.add_argument("--write-baseline", action="store_true", help="make the scores the ones to be held")
    chosen = parser.parse_args()
    if chosen.half and chosen.write_baseline:
        parser.error("the baseline holds both halves")
    judged = judge([layout for layout in layouts() if chosen.half in {None, layout.half}])
    print_scores(Console(), judged)
    if chosen.write_baseline:
        write_baseline(BASELINE, by_layout(judged))
        Console().print(f"Baseline written: {len(by_layout(judged))} layouts.")


if __name__ == "__main__":
    main()
