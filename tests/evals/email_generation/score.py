"""Scores the checks by the labelled texts: what is faulty is to be refused, what is sound is not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ai.workflows.email_generation import answers, checks, material, rendering
from tests.evals.email_generation.cases import FOLDER, GOOD, Case

BASELINE = FOLDER / "baseline.json"


@dataclass(frozen=True, slots=True)
class Judged:
    """A case and the problems that the checks found in it."""

    case: Case
    problems: list[str]

    @property
    def is_right(self) -> bool:
        """Tell whether a sound text passes, or a faulty one does not."""
        return bool(self.problems) != (self.case.label == GOOD)

    def __str__(self) -> str:
        return f"{self.case}: {' '.join(self.problems) or 'passes'}"


def judge(cases: Sequence[Case]) -> list[Judged]:
    """Run the checks over each case as the graph does."""
    return [Judged(case, _problems(case)) for case in cases]


def _problems(case: Case) -> list[str]:
    request = material.believed(case.request).request
    rendered = rendering.rendered(request, rendering.variables_of(request))
    return checks.problems_of(answers.written(case.answer, request.unsubscribe_url), request, rendered)


def scores(judged: Sequence[Judged], group: Callable[[Judged], str]) -> dict[str, list[int]]:
    """Return by group how many cases are right, and how many there are."""
    counted: dict[str, list[int]] = {}
    for one in judged:
        score = counted.setdefault(group(one), [0, 0])
        score[0] += one.is_right
        score[1] += 1
    return counted


def by_file(judged: Sequence[Judged]) -> dict[str, list[int]]:
    """Return the scores to be held: by file, apart for sound texts and faulty ones."""
    return scores(judged, lambda one: f"{one.case.half}/{one.case.file} {'sound' if one.case.is_good else 'faulty'}")
