"""Compares the scores of the labelled files with those that are to be held."""

import pytest

from ai.workflows.csv_mapping.state import REPEATABLE, Target
from tests.evals.baseline import find_changes, find_regressions, read_baseline
from tests.evals.csv_mapping.layouts import HALVES, Layout, layouts
from tests.evals.csv_mapping.score import BASELINE, Judged, by_layout, judge, share_right

LEAST_ROWS = 8
LEAST_LAYOUTS = 30
LEAST_LANGUAGES = 7
AIM = 0.97
REWRITE = "run `python -m tests.evals.csv_mapping --write-baseline`"


@pytest.fixture(scope="module")
def judged() -> list[Judged]:
    """Every column of every labelled file, mapped by rules alone."""
    return judge(layouts())


def test_no_layout_falls_below_its_baseline(judged: list[Judged]) -> None:
    """A change of the rules costs no layout a column that was right; the message names layout and columns."""
    worse = find_regressions(by_layout(judged), read_baseline(BASELINE))
    wrong = [str(one) for one in judged if not one.is_right and f"{one.layout.half}/{one.layout.name}" in worse]
    assert wrong == [], "\n".join(["Below the baseline:", *wrong])


def test_the_baseline_is_that_of_the_rules(judged: list[Judged]) -> None:
    """A better score, or another set of layouts, is written down, so that it is held from then on."""
    newer = find_changes(by_layout(judged), read_baseline(BASELINE))
    assert newer == {}, f"Outdated: {newer}; {REWRITE}"


def test_the_aim_is_met(judged: list[Judged]) -> None:
    """Rules alone map 97 % of the columns as a careful person would, in either half."""
    for half in HALVES:
        assert share_right([one for one in judged if one.layout.half == half]) >= AIM


def test_a_wrong_column_is_named(judged: list[Judged]) -> None:
    """The comparison can fail: a column that is labelled otherwise is counted as wrong, with layout and header."""
    right = next(one for one in judged if one.mapping.target is Target.EMAIL)
    wrong = Judged(right.layout, right.mapping, frozenset({Target.COMPANY}))
    assert by_layout([right, wrong]) == {f"{right.layout.half}/{right.layout.name}": [1, 2]}
    assert str(wrong) == f"{right.layout.name}, {right.mapping.header!r}: email instead of company"


@pytest.mark.parametrize("layout", layouts(), ids=lambda layout: layout.name)
def test_a_layout_is_fit_to_judge_by(layout: Layout) -> None:
    """Each file has rows enough, headers that are told apart, and no single target that two columns must have."""
    assert len(layout.rows) >= LEAST_ROWS
    assert len(set(layout.headers)) == len(layout.headers)
    single = [next(iter(label)) for label in layout.labels if len(label) == 1]
    single = [target for target in single if target not in REPEATABLE]
    assert len(set(single)) == len(single)


def test_the_set_is_wide_enough() -> None:
    """There are files from many sources in many languages, the language being the first part of the name."""
    names = [layout.name for layout in layouts()]
    assert len(set(names)) == len(names) >= LEAST_LAYOUTS
    assert len({name.partition("-")[0] for name in names}) >= LEAST_LANGUAGES
