"""Keeps the scores that an eval holds its workflow to: for each name how many cases are right, of how many."""

import json
from collections.abc import Mapping
from pathlib import Path

Scores = Mapping[str, list[int]]


def read_baseline(path: Path) -> Scores:
    """Return the scores to be held."""
    baseline: dict[str, list[int]] = json.loads(path.read_text(encoding="utf-8"))
    return baseline


def write_baseline(path: Path, scores: Scores) -> None:
    """Make scores the ones to be held; one a line, so that a change of one shows as such."""
    lines = [f"  {json.dumps(name)}: {json.dumps(score)}" for name, score in sorted(scores.items())]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def below(scores: Scores, baseline: Scores) -> set[str]:
    """Return the names under which fewer cases are right than the baseline holds."""
    return {name for name, (right, _) in scores.items() if right < baseline.get(name, [0, 0])[0]}


def outdated(scores: Scores, baseline: Scores) -> dict[str, list[int]]:
    """Return the scores that the baseline does not have so; those it has of cases that are gone as [0, 0]."""
    gone = {name: [0, 0] for name in baseline.keys() - scores.keys()}
    return gone | {name: score for name, score in scores.items() if score != baseline.get(name)}
