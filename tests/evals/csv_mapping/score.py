"""Scores the mapping of the labelled files by rules alone, and keeps the scores that are to be held."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ai.registry import CSV_MAPPING
from ai.run import RunContext, run
from ai.workflows.csv_mapping.state import ColumnMapping, CsvMappingInput, Target
from tests.evals.csv_mapping.layouts import FOLDER, Layout

BASELINE = FOLDER / "baseline.json"


@dataclass(frozen=True, slots=True)
class Judged:
    """One column: what it was taken for and what it may be taken for."""

    layout: Layout
    mapping: ColumnMapping
    allowed: frozenset[Target]

    @property
    def is_right(self) -> bool:
        """Tell whether a careful person would have chosen the same."""
        return self.mapping.target in self.allowed

    def __str__(self) -> str:
        allowed = " or ".join(sorted(self.allowed))
        return f"{self.layout.name}, {self.mapping.header!r}: {self.mapping.target} instead of {allowed}"


def judge(layouts: Sequence[Layout]) -> list[Judged]:
    """Map files by rules alone and return each of their columns."""
    return asyncio.run(_judge(layouts))


async def _judge(layouts: Sequence[Layout]) -> list[Judged]:
    judged = []
    for layout in layouts:
        material = CsvMappingInput(headers=layout.headers, samples=layout.rows)
        mapped = await run(CSV_MAPPING, material, context=RunContext(workspace_id="eval"))
        judged += [Judged(layout, m, allowed) for m, allowed in zip(mapped.columns, layout.labels, strict=True)]
    return judged


def share_right(judged: Sequence[Judged]) -> float:
    """Return which share of columns (0 to 1) is right."""
    return sum(one.is_right for one in judged) / len(judged)


def by_layout(judged: Sequence[Judged]) -> dict[str, list[int]]:
    """Return for each layout, as `half/name`, how many of its columns are right, and how many it has."""
    scores: dict[str, list[int]] = {}
    for one in judged:
        score = scores.setdefault(f"{one.layout.half}/{one.layout.name}", [0, 0])
        score[0] += one.is_right
        score[1] += 1
    return scores
