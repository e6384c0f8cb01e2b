"""Compares the scores of the labelled texts with those that are to be held."""

from collections import Counter

import pytest
from pydantic import SecretStr

from ai.models import ModelAccess
from ai.settings import AiSettings
from tests.ai.stub_openai import Reply, running
from tests.evals.baseline import below, outdated, read_baseline
from tests.evals.email_generation.cases import GOOD, HALVES, LABELS, Case, cases
from tests.evals.email_generation.model import first_attempts
from tests.evals.email_generation.score import BASELINE, Judged, by_file, judge

LEAST_CASES = 120
LEAST_GOOD = 60
LANGUAGES = {"af", "de", "en", "fr"}
AIM = {"sound": 0.94, "faulty": 0.95}
REWRITE = "run `python -m tests.evals.email_generation --write-baseline`"


@pytest.fixture(scope="module")
def judged() -> list[Judged]:
    """Every labelled text, checked as the graph does."""
    return judge(cases())


def test_no_file_falls_below_its_baseline(judged: list[Judged]) -> None:
    """A change of the checks neither lets a fault pass that was caught nor refuses a text that passed."""
    worse = below(by_file(judged), read_baseline(BASELINE))
    wrong = [str(one) for one in judged if not one.is_right and {*by_file([one])} & worse]
    assert wrong == [], "\n".join(["Below the baseline:", *wrong])


def test_the_baseline_is_that_of_the_checks(judged: list[Judged]) -> None:
    """A better score, or another set of cases, is written down, so that it is held from then on."""
    newer = outdated(by_file(judged), read_baseline(BASELINE))
    assert newer == {}, f"Outdated: {newer}; {REWRITE}"


@pytest.mark.parametrize("half", HALVES)
def test_the_aim_is_met(judged: list[Judged], half: str) -> None:
    """In either half the checks refuse at least 95 % of faulty texts and pass at least 94 % of sound ones."""
    for sort, aim in AIM.items():
        found = [one for one in judged if one.case.half == half and one.case.is_good == (sort == "sound")]
        assert sum(one.is_right for one in found) >= aim * len(found)


def test_a_wrong_verdict_is_named(judged: list[Judged]) -> None:
    """The comparison can fail: a sound text that is refused is counted, named and below the baseline."""
    sound = next(one.case for one in judged if one.case.is_good and one.is_right)
    missed, refused = Judged(sound, ["The subject is empty."]), Judged(sound, [])
    assert (missed.is_right, refused.is_right) == (False, True)
    assert [*by_file([missed, refused]).values()] == [[1, 2]]
    assert str(missed).endswith("(good): The subject is empty.")
    assert below(by_file([missed]), by_file([refused])) == {*by_file([refused])}


def test_the_set_is_wide_enough() -> None:
    """Enough texts, half of them held out, sound and faulty in every way, in four languages; no answer comes twice."""
    found = cases()
    assert len(found) >= LEAST_CASES
    assert sum(case.is_good for case in found) >= LEAST_GOOD
    assert {case.label for case in found} == {*LABELS}
    for half in HALVES:
        assert {case.language for case in found if case.half == half} == LANGUAGES
        assert Counter(case.half for case in found)[half] >= LEAST_CASES / 2
    assert len({case.answer.model_dump_json() for case in found}) == len(found)


@pytest.mark.anyio
async def test_a_model_can_be_asked() -> None:
    """With `--model` each request is written for once and checked; here by a server that knows one sound answer."""
    asked: dict[str, Case] = {case.file: case for case in cases() if case.label == GOOD}
    with running() as stub:
        stub.will(Reply(next(iter(asked.values())).answer.model_dump()))
        models = ModelAccess(AiSettings(openai_api_key=SecretStr("test"), openai_base_url=stub.base_url))
        attempts = await first_attempts(models)
        await models.close()
    assert len(attempts) == len(asked) == len(stub.requests)
    assert sum(not problems for problems in attempts.values()) == 1
