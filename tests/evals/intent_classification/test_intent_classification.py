"""Compares the scores of the labelled replies with the baseline."""

from collections import Counter

import pytest

from ai.workflows.intent_classification.state import Intent, IntentOutput
from tests.evals.baseline import find_changes, find_regressions, read_baseline
from tests.evals.intent_classification.replies import HALVES, LabelledReply, load_replies
from tests.evals.intent_classification.score import (
    BASELINE,
    ReplyResult,
    classify_replies,
    compute_recall,
    compute_share,
    count_right,
)

MIN_REPLIES = 150
MIN_LANGUAGES = 3
ACCURACY = 0.85
RECALL = 0.98
REWRITE = "run `python -m tests.evals.intent_classification --write-baseline`"


@pytest.fixture(scope="module")
def results() -> list[ReplyResult]:
    """The results of the rules for every labelled reply."""
    return classify_replies(load_replies())


def test_no_score_is_below_its_baseline(results: list[ReplyResult]) -> None:
    """A change of the rules lowers no score; the message lists the wrong results."""
    worse = find_regressions(count_right(results), read_baseline(BASELINE))
    wrong = [str(result) for result in results if not result.is_right or not result.has_right_date or result.is_lost]
    assert worse == set(), "\n".join([f"Below the baseline: {sorted(worse)}. Wrong are:", *wrong])


def test_the_baseline_is_current(results: list[ReplyResult]) -> None:
    """Better scores and changed replies are stored in the baseline, so that later changes are compared with them."""
    changes = find_changes(count_right(results), read_baseline(BASELINE))
    assert changes == {}, f"Outdated: {changes}; {REWRITE}"


@pytest.mark.parametrize("half", HALVES)
def test_the_targets_are_met(results: list[ReplyResult], half: str) -> None:
    """In each half the rules label 85 % of replies and 98 % of unsubscribes and absences, and lose no reply."""
    group = [result for result in results if result.reply.half == half]
    assert compute_share(group) >= ACCURACY
    assert compute_recall(Intent.UNSUBSCRIBE, group) >= RECALL
    assert compute_recall(Intent.OUT_OF_OFFICE, group) >= RECALL
    assert [str(result) for result in group if result.is_lost] == []


def _result(expected: Intent, label: Intent, *, is_automatic: bool = False) -> ReplyResult:
    reply = LabelledReply(half="tuned", name="en-made-up", labels=frozenset({expected}), subject="Re: x", text="x")
    return ReplyResult(reply, IntentOutput(label=label, confidence=0.9, is_automatic=is_automatic, decided_by="rules"))


def test_a_wrong_label_lowers_a_score() -> None:
    """A wrong result counts for the language and for the label of its reply."""
    pair = [_result(Intent.NOT_NOW, Intent.NOT_NOW), _result(Intent.NOT_NOW, Intent.REFERRAL)]
    score = {"tuned/language en": [1, 2], "tuned/label not_now": [1, 2], "tuned/replies of people kept": [2, 2]}
    assert count_right(pair) == score
    assert find_regressions(score, {"tuned/label not_now": [2, 2]}) == {"tuned/label not_now"}
    assert find_changes(score, {**score, "tuned/label not_now": [0, 2]}) == {"tuned/label not_now": [1, 2]}
    assert find_changes(score, {**score, "tuned/gone": [1, 1]}) == {"tuned/gone": [0, 0]}


@pytest.mark.parametrize(
    ("expected", "label", "is_automatic", "is_lost"),
    [
        (Intent.INTERESTED, Intent.OUT_OF_OFFICE, True, True),
        (Intent.INTERESTED, Intent.UNSUBSCRIBE, False, True),
        (Intent.QUESTION, Intent.BOUNCE, False, True),
        (Intent.NOT_INTERESTED, Intent.NOT_INTERESTED, True, True),
        (Intent.UNSUBSCRIBE, Intent.OUT_OF_OFFICE, True, True),
        (Intent.INTERESTED, Intent.NOT_INTERESTED, False, False),
        (Intent.UNSUBSCRIBE, Intent.UNSUBSCRIBE, False, False),
        (Intent.WRONG_PERSON, Intent.WRONG_PERSON, True, False),
        (Intent.OUT_OF_OFFICE, Intent.UNSUBSCRIBE, True, False),
    ],
)
def test_only_a_personal_reply_can_be_lost(
    expected: Intent, label: Intent, *, is_automatic: bool, is_lost: bool
) -> None:
    """A reply is lost if it is personal and is wrongly classified as automatic or as an unsubscribe."""
    assert _result(expected, label, is_automatic=is_automatic).is_lost is is_lost


def test_the_description_of_a_wrong_result() -> None:
    """The description has the half, the name, both labels, and that the reply is lost."""
    wrong = _result(Intent.QUESTION, Intent.BOUNCE)
    assert str(wrong) == "tuned, en-made-up: bounce (90%, rules) instead of question; LOST"


def test_the_replies_cover_all_labels_and_languages() -> None:
    """There are enough replies and languages, each language has every label, and only absences have a return date."""
    replies = load_replies()
    languages = {reply.language for reply in replies}
    assert len({reply.name for reply in replies}) == len(replies) >= MIN_REPLIES
    assert len(languages) >= MIN_LANGUAGES
    for language in languages:
        counts = Counter(label for reply in replies if reply.language == language for label in reply.labels)
        assert counts.keys() == set(Intent), language
    assert all(reply.labels == {Intent.OUT_OF_OFFICE} for reply in replies if reply.return_date)
