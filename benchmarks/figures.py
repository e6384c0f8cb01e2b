"""The results of a benchmark: figures with an optional baseline and target."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

DIGITS = 4
"""The number of significant digits of a figure."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One result. The target applies to the ratio to the baseline, or to the value when there is no baseline."""

    figure: str
    value: float
    unit: str
    baseline: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def ratio(self) -> float | None:
        """The value as a multiple of its baseline."""
        return self.value / self.baseline if self.baseline else None

    @property
    def target(self) -> float | None:
        """The limit of the figure."""
        return self.at_least if self.at_most is None else self.at_most

    @property
    def ok(self) -> bool:
        """Whether the figure meets its target; true without a target."""
        compared = self.value if self.ratio is None else self.ratio
        meets_maximum = self.at_most is None or compared <= self.at_most
        return meets_maximum and (self.at_least is None or compared >= self.at_least)

    def as_json(self) -> dict[str, Any]:
        """Return the figure as JSON data."""
        return {
            "figure": self.figure,
            "value": _rounded(self.value),
            "unit": self.unit,
            "baseline": _rounded(self.baseline),
            "ratio": _rounded(self.ratio),
            "target": self.target,
            "ok": self.ok,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of a benchmark run."""

    bench: str
    size: str
    figures: Sequence[Figure]

    @property
    def ok(self) -> bool:
        """Whether every target is met."""
        return all(figure.ok for figure in self.figures)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {"bench": self.bench, "size": self.size, "figures": [figure.as_json() for figure in self.figures]}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
