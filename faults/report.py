"""The report of a run: the planted and escaped faults, by area and by kind."""

import tomllib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from faults.fault import Fault
from faults.runner import Result, Verdict

MISSED = {Verdict.ESCAPED, Verdict.NOT_RUN, Verdict.UNSOUND, Verdict.UNENDED}
EXPLANATIONS = Path(__file__).with_name("explained.toml")


def load_explanations() -> dict[str, str]:
    """Return the reasons why some faults need not be caught, by the id or the kind of the fault."""
    return {key: str(reason) for key, reason in tomllib.loads(EXPLANATIONS.read_text(encoding="utf-8")).items()}


def has_escaped(fault: Fault, results: Mapping[str, Result], reasons: Mapping[str, str]) -> bool:
    """Return whether no test caught a fault and there is no explanation for it."""
    result = results.get(fault.id)
    is_missed = result is not None and result.verdict in MISSED
    return is_missed and not {fault.id, fault.kind} & reasons.keys()


def print_report(faults: Sequence[Fault], results: Mapping[str, Result], console: Console) -> None:
    """Print the scores, and each fault that escaped without an explanation."""
    reasons = load_explanations()
    console.print(_table("area", faults, results, reasons, lambda fault: fault.area))
    console.print(_table("kind", faults, results, reasons, lambda fault: fault.kind))
    for fault in faults:
        if has_escaped(fault, results, reasons):
            place = f"{fault.path}:{fault.line}" if fault.line else fault.path
            console.print(
                f"{fault.id} {place} {fault.place}: {fault.kind} ({results[fault.id].verdict})",
                f"\n    {fault.before} → {fault.after}",
                markup=False, highlight=False, soft_wrap=True,
            )  # fmt: skip


def _table(
    title: str,
    faults: Sequence[Fault],
    results: Mapping[str, Result],
    reasons: Mapping[str, str],
    group: Callable[[Fault], str],
) -> Table:
    rows: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for fault in faults:
        result = results.get(fault.id)
        if result is None or result.verdict is Verdict.IMPOSSIBLE:
            continue
        is_caught, is_open = result.verdict is Verdict.CAUGHT, has_escaped(fault, results, reasons)
        counted = (1, is_caught, not is_caught and not is_open, is_open)
        for name in (group(fault), "all"):
            rows[name] = [have + more for have, more in zip(rows[name], counted, strict=True)]
    table = Table(title, "planted", "caught", "explained", "escaped", "score")
    for name in sorted(rows, key=lambda name: (name == "all", name)):
        planted, caught, explained, escaped = rows[name]
        counting = planted - explained
        table.add_row(
            name, *map(str, (planted, caught, explained, escaped)), f"{100 * caught // counting}%" if counting else ""
        )
    return table
