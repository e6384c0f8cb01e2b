"""What a bench finds: figures, beside a baseline where there is one, and held against a target where there is one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

DIGITS = 4
"""How many digits of a figure say something."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured. A target is for the ratio to the baseline, or for the value where there is no baseline."""

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
        """The limit that the figure is held against."""
        return self.at_least if self.at_most is None else self.at_most

    @property
    def ok(self) -> bool:
        """Whether the figure is within its target; true for one that has none."""
        held = self.value if self.ratio is None else self.ratio
        return (self.at_most is None or held <= self.at_most) and (self.at_least is None or held >= self.at_least)

    def as_json(self) -> dict[str, Any]:
        """Return the figure as it stands in the JSON of a report."""
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
    """All figures of one run of a bench."""

    bench: str
    size: str
    figures: Sequence[Figure]

    @property
    def ok(self) -> bool:
        """Whether every target is met."""
        return all(figure.ok for figure in self.figures)

    def as_json(self) -> dict[str, Any]:
        """Return the report as one JSON object."""
        return {"bench": self.bench, "size": self.size, "figures": [figure.as_json() for figure in self.figures]}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
