"""Scores the checks with labelled texts: faulty texts must be rejected, and good ones must pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ai.workflows.email_generation import answers, checks, material, rendering
from tests.evals.email_generation.cases import FOLDER, GOOD, Case

BASELINE = FOLDER / "baseline.json"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case and the problems that the checks found."""

    case: Case
    problems: list[str]

    @property
    def is_right(self) -> bool:
        """Whether a good text passes, or a faulty one does not."""
        return bool(self.problems) != (self.case.label == GOOD)

    def __str__(self) -> str:
        return f"{self.case}: {' '.join(self.problems) or 'passes'}"


def check_cases(cases: Sequence[Case]) -> list[CaseResult]:
    """Check each case as the graph does."""
    return [CaseResult(case, _find_problems(case)) for case in cases]


def _find_problems(case: Case) -> list[str]:
    request = material.remove_implausible_fields(case.request).request
    rendered = rendering.try_render(request, rendering.build_variables(request))
    return checks.find_problems(answers.to_candidate(case.answer, request.unsubscribe_url), request, rendered)


def count_right(results: Sequence[CaseResult], group: Callable[[CaseResult], str]) -> dict[str, list[int]]:
    """Return by group the number of right cases and of all cases."""
    scores: dict[str, list[int]] = {}
    for result in results:
        score = scores.setdefault(group(result), [0, 0])
        score[0] += result.is_right
        score[1] += 1
    return scores


def score_files(results: Sequence[CaseResult]) -> dict[str, list[int]]:
    """Return the scores of the baseline, by file and separately for faulty and good texts."""
    return count_right(results, _name_score)


def _name_score(result: CaseResult) -> str:
    return f"{result.case.half}/{result.case.file} {'sound' if result.case.is_good else 'faulty'}"
