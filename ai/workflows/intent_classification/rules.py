"""Classifies a reply by its words; returns no verdict if they are not clear."""

import re
from collections import Counter
from datetime import date

from ai.workflows.intent_classification.automatic import is_absence_note, says_automatic
from ai.workflows.intent_classification.date_order import SentAt
from ai.workflows.intent_classification.dates import find_return_date
from ai.workflows.intent_classification.headers import Kind
from ai.workflows.intent_classification.phrases import (
    count_phrases,
    has_misspelled_word,
    has_phrase,
    is_language_known,
    list_possible_languages,
    may_ask_for_writer,
    remove_phrases,
)
from ai.workflows.intent_classification.state import Intent, Verdict
from ai.workflows.intent_classification.wording import normalize
from email_text.subjects import Subject, split_subject, strip_reply_prefixes

# The order for equal weights: redirecting or declining outweighs polite phrases.
_INTENTS_BY_PRIORITY = (
    Intent.REFERRAL,
    Intent.WRONG_PERSON,
    Intent.NOT_NOW,
    Intent.NOT_INTERESTED,
    Intent.MEETING_REQUEST,
    Intent.INTERESTED,
    Intent.QUESTION,
    Intent.OTHER,
)
_REQUESTS = (
    Intent.NOT_NOW,
    Intent.NOT_INTERESTED,
    Intent.MEETING_REQUEST,
    Intent.INTERESTED,
)  # also in messages of people who are away
_WELCOMES = (Intent.REFERRAL, Intent.MEETING_REQUEST, Intent.INTERESTED, Intent.QUESTION)
_STRENGTH = {"sure": 3.0, "likely": 2.0, "hint": 1.0}
_CONFIDENCE = {3.0: 0.9, 2.0: 0.65, 1.0: 0.5}
_PRODUCT_QUESTION = re.compile(
    r"""(?:^|(?<=[.!?\n]))\s*(?:(?:and|und|et|en)\s)?
    (?:(?:do|does|is|are|will)[ ](?:you|it|the|your|this|that|there) | can[ ](?:i|we|it|one|users|drivers)
      | (?:how|where|when)[ ](?:do|does|can)[ ](?:your|our|the|users|customers|drivers)
      | peut[- ]on | kann[ ]man | lasst[ ]sich | werden | wird | kan[ ]mens | wurden[ ]sie[ ]unsere)
    \b[^.!?]{0,200}\?""",
    re.VERBOSE,
)
_QUESTION = re.compile(r"[^.!?\n]{1,600}\?")
_SENTENCE = re.compile(r"[^.!?\n]{1,600}")
_QUOTED = re.compile(r'["„“«]([^"„“”«»]{1,40})["“”»]')
_ENDS = " .,;:!"
MAX_EMPTY_BODY_WORDS = 4
FORWARDED_CONFIDENCE = 0.9
OFFERED_CONFIDENCE = 0.95
NOTE_CONFIDENCE = 0.7
"""The confidence in a note of absence that nothing but its words shows; a user reviews it."""


def classify_automatic(text: str, subject: str, kind: Kind, received: date) -> Verdict:
    """Return the intent of an automatic message: away, left the company, unsubscribe, or a receipt."""
    words, title = normalize(text), _normalize_subject(subject)
    is_away = has_phrase("away", words) or has_phrase("away", title)
    if has_phrase("left", words) and not find_return_date(text, received):
        referral = count_phrases("referral", words).keys() & {"sure", "likely"}
        return _make_verdict(Intent.REFERRAL if referral else Intent.WRONG_PERSON, 0.85)
    if is_away:
        return _make_verdict(Intent.OUT_OF_OFFICE, 0.97)
    if kind != "list" and _is_unsubscribe_request(words):
        return _make_verdict(Intent.UNSUBSCRIBE, 0.9)
    if kind != "auto_reply" or has_phrase("receipt", words) or has_phrase("receipt", title):
        return _make_verdict(Intent.OTHER, 0.85)
    return _make_verdict(Intent.OUT_OF_OFFICE, 0.75)


def classify_personal(
    text: str, subject: str, received: date, sent_subject: str = "", sent: SentAt | None = None
) -> tuple[Verdict | None, bool]:
    """Return the intent of a reply without automatic headers, or None if it is unclear, and whether it is automatic."""
    title = split_subject(subject, sent_subject)
    words, own = normalize(text), normalize(title.own)
    if not words.strip():
        words = own  # The answer stands in the subject alone.
    if has_phrase("automatic", words) or says_automatic(text):
        return classify_automatic(text, subject, "auto_reply", received), True
    if _is_unsubscribe_request(words) or _is_unsubscribe_subject(
        words, title
    ):  # first, because a missed unsubscribe is the worst error
        return _make_verdict(Intent.UNSUBSCRIBE, 0.95), False
    if _is_away_message(words, own):
        if has_phrase("left", words):
            return classify_automatic(text, subject, "auto_reply", received), True
        return _make_verdict(Intent.OUT_OF_OFFICE, 0.85), True
    if not has_phrase("human", words) and is_absence_note(text, sent or SentAt(received)):
        return _make_verdict(Intent.OUT_OF_OFFICE, NOTE_CONFIDENCE), True
    return _choose_intent(words), False


def is_unsubscribe(text: str) -> bool:
    """Return whether a text asks for no more emails."""
    return _is_unsubscribe_request(normalize(text))


def is_offered_no(text: str, sent_text: str) -> bool:
    """Return whether a text is what the mail offers as a no, as in: reply "no thanks" and I will stop writing."""
    words = normalize(text).strip(_ENDS)
    for sentence in _SENTENCE.findall(sent_text):
        # Of two offers it is not clear which one is the no.
        offers = [normalize(offer).strip(_ENDS) for offer in _QUOTED.findall(sentence)]
        if offers == [words] and may_be_unsubscribe(normalize(sentence)):
            verdict = _choose_intent(words)
            return verdict is None or verdict.label not in _WELCOMES
    return False


def has_unsubscribe_hint(tail: str) -> bool:
    """Return whether a signature or footer speaks of unsubscribing, so that a user must see the reply."""
    words = normalize(tail)
    return _resembles_unsubscribe(words) or _compute_weight(Intent.UNSUBSCRIBE, words) > 0


def _make_verdict(label: Intent, confidence: float) -> Verdict:
    return Verdict(label=label, confidence=confidence, decided_by="rules")


def _normalize_subject(subject: str) -> str:
    return normalize(strip_reply_prefixes(subject))


def _remove_false_requests(words: str) -> str:
    """Remove phrases that only resemble an unsubscribe: negated ones, and questions that ask nothing for the writer."""
    words = _PRODUCT_QUESTION.sub(" . ", remove_phrases(("keep", "other_request"), words))
    languages = list_possible_languages(words)
    return _QUESTION.sub(lambda match: match[0] if may_ask_for_writer(match[0], languages) else " . ", words)


def _is_unsubscribe_request(words: str) -> bool:
    """Return whether the sender wants no more emails; the request may be misspelled."""
    return _resembles_unsubscribe(_remove_false_requests(words))


def _resembles_unsubscribe(words: str) -> bool:
    return any(has_phrase(cue, words) for cue in ("unsubscribe", "refusal")) or has_misspelled_word(
        "unsubscribe", words
    )


def may_be_unsubscribe(words: str) -> bool:
    """Return whether a normalized text has words of an unsubscribe, in whatever sense, so that a user must see it."""
    return (
        _resembles_unsubscribe(words)
        or has_phrase("doubt", words)
        or _compute_weight(Intent.UNSUBSCRIBE, words) >= _STRENGTH["likely"]
    )


def _is_unsubscribe_subject(words: str, title: Subject) -> bool:
    """Return whether the subject is an unsubscribe; if its author is unclear, only with a nearly empty body."""
    if _is_unsubscribe_request(normalize(title.own)):
        return True
    is_nearly_empty = len(words.split()) <= MAX_EMPTY_BODY_WORDS
    return title.is_unclear and is_nearly_empty and has_phrase("unsubscribe", normalize(title.title))


def _is_away_message(words: str, own_subject: str) -> bool:
    """Return whether the text is an out-of-office message without automatic headers, and no request of a person."""
    away = count_phrases("away", words)
    is_away_subject = has_phrase("away", own_subject)
    if not away.get("sure") and not is_away_subject:
        return False
    if has_phrase("human", words):
        return False
    if is_away_subject and away.get("sure"):
        return True
    if "?" in words:
        return False
    return bool(is_away_subject or away.get("likely")) or not any(
        "sure" in count_phrases(intent, words) for intent in _REQUESTS
    )


def _choose_intent(words: str) -> Verdict | None:
    """Return the verdict for the intent with the greatest weight."""
    weights = {intent: weight for intent in _INTENTS_BY_PRIORITY if (weight := _compute_weight(intent, words))}
    if Intent.WRONG_PERSON in weights and weights.get(Intent.REFERRAL, 0) >= _STRENGTH["likely"]:
        weights[Intent.REFERRAL] = weights[Intent.WRONG_PERSON] + 1  # not this person, but another address
    unsubscribe = _compute_weight(Intent.UNSUBSCRIBE, words)
    if unsubscribe >= _STRENGTH["likely"] and unsubscribe > min(max(weights.values(), default=0), _STRENGTH["likely"]):
        return _make_verdict(Intent.UNSUBSCRIBE, 0.75)
    if not weights:
        return None
    label = max(weights, key=lambda intent: weights[intent])  # the first of equal weights
    return _make_verdict(label, _CONFIDENCE[float(int(min(weights[label], 3.0)))])


def _compute_weight(intent: Intent, words: str) -> float:
    """Return the weight of an intent: 1 to 3 for the strongest phrase, and a little for each further phrase."""
    counts = Counter(count_phrases(intent, _remove_false_requests(words) if intent is Intent.UNSUBSCRIBE else words))
    if intent is Intent.WRONG_PERSON:
        counts += Counter(count_phrases("left", words))
    if intent is Intent.OTHER:
        counts += Counter(count_phrases("receipt", words))
    if intent is Intent.QUESTION and "?" in words:
        counts["likely" if is_language_known(intent, words) else "hint"] += 1
    if not counts:
        return 0.0
    strongest = max(counts, key=lambda strength: _STRENGTH[strength])
    return _STRENGTH[strongest] + 0.25 * (min(counts[strongest], 4) - 1)
