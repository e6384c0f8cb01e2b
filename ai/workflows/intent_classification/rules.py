"""Decides what a reply means from its words; silent where they do not settle it."""

import re

from ai.workflows.intent_classification import phrases
from ai.workflows.intent_classification.state import Intent, Verdict


def judge_automatic(text: str, subject: str) -> Verdict:
    """Return what an automatic answer means: away, gone for good, or a mere receipt."""
    if phrases.LEFT.search(text):
        return Verdict(label=Intent.WRONG_PERSON, confidence=0.85, decided_by="rules")
    if phrases.AWAY.search(text) or phrases.AWAY.search(subject):
        return Verdict(label=Intent.OUT_OF_OFFICE, confidence=0.97, decided_by="rules")
    if phrases.RECEIPT.search(text):
        return Verdict(label=Intent.OTHER, confidence=0.85, decided_by="rules")
    return Verdict(label=Intent.OUT_OF_OFFICE, confidence=0.75, decided_by="rules")


def judge_person(text: str, subject: str) -> tuple[Verdict | None, bool]:
    """Return what a reply without automatic headers means, and whether its text is nevertheless an away message.

    None where the words do not settle it.
    """
    words = phrases.KEEP.sub(" ", text)
    if phrases.UNSUBSCRIBE.search(words) or re.fullmatch(
        r"\W*(?:unsubscribe|stop|remove me)\W*", subject, re.IGNORECASE
    ):
        return Verdict(label=Intent.UNSUBSCRIBE, confidence=0.95, decided_by="rules"), False
    found = {intent: sure for intent, sure, pattern in phrases.PATTERNS if pattern.search(words)}
    if (
        phrases.AWAY.search(words)
        and phrases.AWAY_SIGNS.search(words)
        and not found.keys() & _ENGAGED
        and "?" not in words
    ):
        return Verdict(label=Intent.OUT_OF_OFFICE, confidence=0.85, decided_by="rules"), True
    return _weigh(found, words), False


_ENGAGED = {Intent.MEETING_REQUEST, Intent.INTERESTED, Intent.NOT_INTERESTED}
_NEGATIVE = {Intent.NOT_NOW, Intent.NOT_INTERESTED, Intent.WRONG_PERSON}


def _weigh(found: dict[Intent, float], words: str) -> Verdict | None:
    """Choose among the labels whose phrases occur: a redirection or a refusal says more than a polite yes."""
    for intent, sure in found.items():  # in the order of the patterns
        opposed = intent in _NEGATIVE and found.keys() & {Intent.MEETING_REQUEST}
        if intent is Intent.NOT_NOW and Intent.MEETING_REQUEST in found and Intent.NOT_INTERESTED not in found:
            return Verdict(label=Intent.NOT_NOW, confidence=0.6, decided_by="rules")
        return Verdict(label=intent, confidence=sure - 0.2 if opposed else sure, decided_by="rules")
    if phrases.PRICE.search(words):
        return Verdict(label=Intent.QUESTION, confidence=0.85, decided_by="rules")
    if phrases.ASKS.search(words):
        return Verdict(label=Intent.QUESTION, confidence=0.75, decided_by="rules")
    return None
