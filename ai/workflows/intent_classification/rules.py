"""Decides what a reply means from its words; silent where they do not settle it."""

import re
from collections import Counter
from datetime import date

from ai.workflows.intent_classification.dates import return_date
from ai.workflows.intent_classification.headers import Kind
from ai.workflows.intent_classification.phrases import found, has, has_misspelt, without
from ai.workflows.intent_classification.state import Intent, Verdict
from ai.workflows.intent_classification.wording import words_of

# Where two labels are said as clearly, the first: who redirects or declines says more than who is polite about it.
_BY_WEIGHT = (
    Intent.REFERRAL,
    Intent.WRONG_PERSON,
    Intent.NOT_NOW,
    Intent.NOT_INTERESTED,
    Intent.MEETING_REQUEST,
    Intent.INTERESTED,
    Intent.QUESTION,
    Intent.OTHER,
)
_WISHES = (Intent.NOT_NOW, Intent.NOT_INTERESTED, Intent.MEETING_REQUEST, Intent.INTERESTED)  # of the absent, too
_STRENGTH = {"sure": 3.0, "likely": 2.0, "hint": 1.0}
_CONFIDENCE = {3.0: 0.9, 2.0: 0.65, 1.0: 0.5}
_ANSWERED = re.compile(r"\s*(?:(?:re|aw|sv|tr|fw|fwd|wg|antw|rv|res|enc)(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE)
_ASKED_OF_PRODUCT = re.compile(
    r"""(?:^|(?<=[.!?\n]))\s*(?:(?:and|und|et|en)\s)?
    (?:(?:do|does|is|are|will)[ ](?:you|it|the|your|this|that|there) | can[ ](?:i|we|it|one|users|drivers)
      | (?:how|where|when)[ ](?:do|does|can)[ ](?:your|our|the|users|customers|drivers)
      | peut[- ]on | kann[ ]man | lasst[ ]sich | werden | wird | kan[ ]mens | wurden[ ]sie[ ]unsere)
    \b[^.!?]{0,200}\?""",
    re.VERBOSE,
)
FEW_WORDS = 4


def judge_automatic(text: str, subject: str, kind: Kind, received: date) -> Verdict:
    """Return what an automatic message means: away, gone for good, an end to our mails, or a mere receipt."""
    words, title = words_of(text), _title(subject)
    is_away = has("away", words) or has("away", title)
    if has("left", words) and not return_date(text, received):
        named = found("referral", words).keys() & {"sure", "likely"}
        return _ruled(Intent.REFERRAL if named else Intent.WRONG_PERSON, 0.85)
    if is_away:
        return _ruled(Intent.OUT_OF_OFFICE, 0.97)
    if kind != "list" and _demands_an_end(words):
        return _ruled(Intent.UNSUBSCRIBE, 0.9)
    if kind != "auto_reply" or has("receipt", words) or has("receipt", title):
        return _ruled(Intent.OTHER, 0.85)
    return _ruled(Intent.OUT_OF_OFFICE, 0.75)


def judge_person(text: str, subject: str, received: date) -> tuple[Verdict | None, bool]:
    """Return what a reply without automatic headers means, and whether it is nevertheless an automatic message.

    None where the words do not settle it.
    """
    words, title = words_of(text), _title(subject)
    if has("automatic", words):
        return judge_automatic(text, subject, "auto_reply", received), True
    if _demands_an_end(words) or _asks_in_subject(words, title, subject):  # first: to miss it is the worst
        return _ruled(Intent.UNSUBSCRIBE, 0.95), False
    if _is_away_message(words, subject):
        if has("left", words):
            return judge_automatic(text, subject, "auto_reply", received), True
        return _ruled(Intent.OUT_OF_OFFICE, 0.85), True
    return _weigh(words), False


def _ruled(label: Intent, confidence: float) -> Verdict:
    return Verdict(label=label, confidence=confidence, decided_by="rules")


def _title(subject: str) -> str:
    return words_of(_ANSWERED.sub("", subject, count=1))


def _of_mails(words: str) -> str:
    """Leave out what only sounds like an end to our mails: negations of it, and questions about our product."""
    return _ASKED_OF_PRODUCT.sub(" . ", without("keep", words))


def _demands_an_end(words: str) -> bool:
    """Tell whether somebody wants no more mail, be it misspelt."""
    of_mails = _of_mails(words)
    return has("unsubscribe", of_mails) or has_misspelt("unsubscribe", of_mails)


def _asks_in_subject(words: str, title: str, subject: str) -> bool:
    """A subject of the sender's own counts, and any where the body says nothing; what we wrote ourselves does not."""
    is_own = _ANSWERED.match(subject) is None
    return (is_own or len(words.split()) <= FEW_WORDS) and has("unsubscribe", title)


def _is_away_message(words: str, subject: str) -> bool:
    """Tell whether a machine wrote the words, though no header says so: away now, and no wish of a person."""
    away = found("away", words)
    titled = _ANSWERED.match(subject) is None and has("away", words_of(subject))
    if not away.get("sure") and not titled:
        return False
    if has("human", words):
        return False
    if titled and away.get("sure"):
        return True
    if "?" in words:
        return False
    return bool(titled or away.get("likely")) or not any("sure" in found(intent, words) for intent in _WISHES)


def _weigh(words: str) -> Verdict | None:
    """Choose the label for which most is said."""
    weights = {intent: weight for intent in _BY_WEIGHT if (weight := _weight(intent, words))}
    if Intent.WRONG_PERSON in weights and weights.get(Intent.REFERRAL, 0) >= _STRENGTH["likely"]:
        weights[Intent.REFERRAL] = weights[Intent.WRONG_PERSON] + 1  # not this person, and there is an address
    unsubscribe = _weight(Intent.UNSUBSCRIBE, words)
    if unsubscribe >= _STRENGTH["likely"] and unsubscribe > min(max(weights.values(), default=0), _STRENGTH["likely"]):
        return _ruled(Intent.UNSUBSCRIBE, 0.75)
    if not weights:
        return None
    label = max(weights, key=lambda intent: weights[intent])  # the first of equals
    return _ruled(label, _CONFIDENCE[float(int(min(weights[label], 3.0)))])


def _weight(intent: Intent, words: str) -> float:
    """Return how much is said for a label: 1 to 3 for the clearest phrase, and a little for each further one."""
    counts = Counter(found(intent, _of_mails(words) if intent is Intent.UNSUBSCRIBE else words))
    if intent is Intent.WRONG_PERSON:
        counts += Counter(found("left", words))
    if intent is Intent.OTHER:
        counts += Counter(found("receipt", words))
    if intent is Intent.QUESTION and "?" in words:
        counts["likely"] += 1
    if not counts:
        return 0.0
    clearest = max(counts, key=lambda said: _STRENGTH[said])
    return _STRENGTH[clearest] + 0.25 * (min(counts[clearest], 4) - 1)
