"""Reads and writes the baseline of an eval: for each name the number of right cases and of all cases."""

import json
from collections.abc import Mapping
from pathlib import Path

Scores = Mapping[str, list[int]]


def read_baseline(path: Path) -> Scores:
    """Return the scores of a baseline."""
    baseline: dict[str, list[int]] = json.loads(path.read_text(encoding="utf-8"))
    return baseline


def write_baseline(path: Path, scores: Scores) -> None:
    """Write a baseline with one score per line, so that a diff shows each change."""
    lines = [f"  {json.dumps(name)}: {json.dumps(score)}" for name, score in sorted(scores.items())]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def find_regressions(scores: Scores, baseline: Scores) -> set[str]:
    """Return the names with fewer right cases than in the baseline."""
    return {name for name, (right, _) in scores.items() if right < baseline.get(name, [0, 0])[0]}


def find_changes(scores: Scores, baseline: Scores) -> dict[str, list[int]]:
    """Return the scores that differ from the baseline; names without cases have [0, 0]."""
    removed = {name: [0, 0] for name in baseline.keys() - scores.keys()}
    return removed | {name: score for name, score in scores.items() if score != baseline.get(name)}
