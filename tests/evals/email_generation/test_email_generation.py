"""Compares the scores of the labelled texts with the baseline."""

from collections import Counter

import pytest
from pydantic import SecretStr

from ai.models import ModelAccess
from ai.settings import AiSettings
from tests.ai.stub_openai import Reply, run_stub
from tests.evals.baseline import find_changes, find_regressions, read_baseline
from tests.evals.email_generation.cases import GOOD, HALVES, LABELS, Case, load_cases
from tests.evals.email_generation.model import write_first_attempts
from tests.evals.email_generation.score import BASELINE, CaseResult, check_cases, score_files

MIN_CASES = 120
MIN_GOOD = 60
LANGUAGES = {"af", "de", "en", "fr"}
TARGETS = {True: 0.94, False: 0.95}
"""The minimum share of good texts that pass, and of faulty texts that are rejected."""
REWRITE = "run `python -m tests.evals.email_generation --write-baseline`"


@pytest.fixture(scope="module")
def results() -> list[CaseResult]:
    """The results of the checks for every labelled text."""
    return check_cases(load_cases())


def test_no_file_is_below_its_baseline(results: list[CaseResult]) -> None:
    """A change of the checks does not pass more faulty texts and does not reject more good ones."""
    worse = find_regressions(score_files(results), read_baseline(BASELINE))
    wrong = [str(result) for result in results if not result.is_right and {*score_files([result])} & worse]
    assert wrong == [], "\n".join(["Below the baseline:", *wrong])


def test_the_baseline_is_current(results: list[CaseResult]) -> None:
    """Better scores and changed cases are stored in the baseline, so that later changes are compared with them."""
    changes = find_changes(score_files(results), read_baseline(BASELINE))
    assert changes == {}, f"Outdated: {changes}; {REWRITE}"


@pytest.mark.parametrize("half", HALVES)
def test_the_targets_are_met(results: list[CaseResult], half: str) -> None:
    """In each half the checks reject at least 95 % of faulty texts and pass at least 94 % of good ones."""
    for is_good, target in TARGETS.items():
        group = [result for result in results if result.case.half == half and result.case.is_good is is_good]
        assert sum(result.is_right for result in group) >= target * len(group)


def test_a_wrong_result_lowers_a_score(results: list[CaseResult]) -> None:
    """A good text that is rejected is a wrong result, has its problems in its description, and is a regression."""
    good = next(result.case for result in results if result.case.is_good and result.is_right)
    rejected, passed = CaseResult(good, ["The subject is empty."]), CaseResult(good, [])
    assert (rejected.is_right, passed.is_right) == (False, True)
    assert [*score_files([rejected, passed]).values()] == [[1, 2]]
    assert str(rejected).endswith("(good): The subject is empty.")
    assert find_regressions(score_files([rejected]), score_files([passed])) == {*score_files([passed])}


def test_the_cases_cover_all_labels_and_languages() -> None:
    """There are enough unique answers in both halves, with every label, in four languages."""
    cases = load_cases()
    assert len(cases) >= MIN_CASES
    assert sum(case.is_good for case in cases) >= MIN_GOOD
    assert {case.label for case in cases} == {*LABELS}
    for half in HALVES:
        assert {case.language for case in cases if case.half == half} == LANGUAGES
        assert Counter(case.half for case in cases)[half] >= MIN_CASES / 2
    assert len({case.answer.model_dump_json() for case in cases}) == len(cases)


@pytest.mark.anyio
async def test_a_model_can_be_scored() -> None:
    """With `--model` the model writes once for each request; the stub's only answer is good for one of them."""
    good_cases: dict[str, Case] = {case.file: case for case in load_cases() if case.label == GOOD}
    with run_stub() as stub:
        stub.set_replies(Reply(next(iter(good_cases.values())).answer.model_dump()))
        models = ModelAccess(AiSettings(openai_api_key=SecretStr("test"), openai_base_url=stub.base_url))
        attempts = await write_first_attempts(models)
        await models.close()
    assert len(attempts) == len(good_cases) == len(stub.requests)
    assert sum(not problems for problems in attempts.values()) == 1
