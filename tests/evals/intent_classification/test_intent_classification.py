"""Compares the scores of the labelled replies with those that are to be held."""

from collections import Counter

import pytest

from ai.workflows.intent_classification.state import Intent, IntentOutput
from tests.evals.baseline import below, outdated, read_baseline
from tests.evals.intent_classification.replies import HALVES, LabelledReply, replies
from tests.evals.intent_classification.score import BASELINE, Judged, judge, recall_of, scores, share

LEAST_REPLIES = 150
LEAST_LANGUAGES = 3
ACCURACY = 0.85
RECALL = 0.98
REWRITE = "run `python -m tests.evals.intent_classification --write-baseline`"


@pytest.fixture(scope="module")
def judged() -> list[Judged]:
    """Every labelled reply, read by rules alone."""
    return judge(replies())


def test_no_score_falls_below_its_baseline(judged: list[Judged]) -> None:
    """A change of the rules costs no language and no label a reply that was right; the message names what is wrong."""
    worse = below(scores(judged), read_baseline(BASELINE))
    wrong = [str(one) for one in judged if not one.is_right or not one.has_right_day or one.is_lost]
    assert worse == set(), "\n".join([f"Below the baseline: {sorted(worse)}. Wrong are:", *wrong])


def test_the_baseline_is_that_of_the_rules(judged: list[Judged]) -> None:
    """A better score, or another set of replies, is written down, so that it is held from then on."""
    newer = outdated(scores(judged), read_baseline(BASELINE))
    assert newer == {}, f"Outdated: {newer}; {REWRITE}"


@pytest.mark.parametrize("half", HALVES)
def test_the_aims_are_met(judged: list[Judged], half: str) -> None:
    """By rules alone 85 % of either half are right, 98 % of the wishes for no more mail and of the absences are found,
    and no reply of a person is lost to them."""
    ones = [one for one in judged if one.reply.half == half]
    assert share(ones) >= ACCURACY
    assert recall_of(Intent.UNSUBSCRIBE, ones) >= RECALL
    assert recall_of(Intent.OUT_OF_OFFICE, ones) >= RECALL
    assert [str(one) for one in ones if one.is_lost] == []


def _judged(wanted: Intent, label: Intent, *, is_automatic: bool = False) -> Judged:
    reply = LabelledReply(half="tuned", name="en-made-up", labels=frozenset({wanted}), subject="Re: x", text="x")
    return Judged(reply, IntentOutput(label=label, confidence=0.9, is_automatic=is_automatic, decided_by="rules"))


def test_a_wrong_label_lowers_a_score() -> None:
    """The comparison can fail: a reply that is read otherwise counts as wrong, for its language and for its label."""
    pair = [_judged(Intent.NOT_NOW, Intent.NOT_NOW), _judged(Intent.NOT_NOW, Intent.REFERRAL)]
    score = {"tuned/language en": [1, 2], "tuned/label not_now": [1, 2], "tuned/replies of people kept": [2, 2]}
    assert scores(pair) == score
    assert below(score, {"tuned/label not_now": [2, 2]}) == {"tuned/label not_now"}
    assert outdated(score, {**score, "tuned/label not_now": [0, 2]}) == {"tuned/label not_now": [1, 2]}
    assert outdated(score, {**score, "tuned/gone": [1, 1]}) == {"tuned/gone": [0, 0]}


@pytest.mark.parametrize(
    ("wanted", "label", "is_automatic", "is_lost"),
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
def test_a_lost_reply_is_one_of_a_person(wanted: Intent, label: Intent, *, is_automatic: bool, is_lost: bool) -> None:
    """Lost is what a person wrote and is taken for a machine's, or for a wish that was not theirs; nothing else is."""
    assert _judged(wanted, label, is_automatic=is_automatic).is_lost is is_lost


def test_a_wrong_reply_is_named() -> None:
    """What is wrong is said so that it can be found: half, name, both labels, and that it is lost."""
    wrong = _judged(Intent.QUESTION, Intent.BOUNCE)
    assert str(wrong) == "tuned, en-made-up: bounce (90%, rules) for question; LOST"


def test_the_set_is_wide_enough() -> None:
    """There are replies enough, in languages enough, with every label in each, and a day only for who is away."""
    every = replies()
    languages = {reply.language for reply in every}
    assert len({reply.name for reply in every}) == len(every) >= LEAST_REPLIES
    assert len(languages) >= LEAST_LANGUAGES
    for language in languages:
        found = Counter(label for reply in every if reply.language == language for label in reply.labels)
        assert found.keys() == set(Intent), language
    assert all(reply.labels == {Intent.OUT_OF_OFFICE} for reply in every if reply.return_date)
