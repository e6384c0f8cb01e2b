"""The labelled files: one CSV per layout, whose first line holds the labels, the second the headers, then come rows."""

import csv
from dataclasses import dataclass
from pathlib import Path

from ai.workflows.csv_mapping.state import Target

FOLDER = Path(__file__).parent
HALVES = ("tuned", "held_out")


@dataclass(frozen=True, slots=True)
class Layout:
    """One labelled file; a label allows more than one target where careful people would differ."""

    name: str
    half: str
    headers: list[str]
    labels: list[frozenset[Target]]
    rows: list[list[str]]


def read_layout(path: Path) -> Layout:
    """Return a labelled file; raises ValueError for a label that is no target and for a row of another length."""
    with path.open(newline="", encoding="utf-8") as file:
        labels, headers, *rows = list(csv.reader(file))
    if any(len(row) != len(headers) for row in (labels, *rows)):
        raise ValueError(f"{path.name}: every line needs {len(headers)} cells.")
    allowed = [frozenset(Target(target) for target in label.split("|")) for label in labels]
    return Layout(path.stem, path.parent.name, headers, allowed, rows)


def layouts() -> list[Layout]:
    """Return all labelled files, by half and name."""
    return [read_layout(path) for half in HALVES for path in sorted((FOLDER / half).glob("*.csv"))]
