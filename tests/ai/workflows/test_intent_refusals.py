"""Refusals in many languages, answers that have the same words, and answers that a user must read."""

import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from ai.registry import INTENT_CLASSIFICATION
from ai.run import RunContext, run
from ai.workflows.intent_classification.rules import classify_personal
from ai.workflows.intent_classification.state import Intent, IntentInput, IntentOutput

_TEXTS = tomllib.loads((Path(__file__).parent / "refusals.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("language", "text"), _TEXTS["noes"])
def test_a_refusal_is_an_unsubscribe(language: str, text: str) -> None:
    """A person who refuses further mail, directly or politely or by law, is unsubscribed."""
    verdict, is_automatic = classify_personal(text, "Re: Stock", date(2026, 11, 20))
    assert verdict is not None
    assert (verdict.label, is_automatic) == (Intent.UNSUBSCRIBE, False), language


@pytest.mark.parametrize(("language", "text"), _TEXTS["others"])
def test_an_answer_with_the_same_words_is_no_unsubscribe(language: str, text: str) -> None:
    """A person who uses these words about a meeting, a product or a lost mail is not unsubscribed."""
    verdict, _ = classify_personal(text, "Re: Stock", date(2026, 11, 20))
    assert verdict is None or verdict.label is not Intent.UNSUBSCRIBE, language


async def _classify(text: str, sent_text: str = "") -> IntentOutput:
    request = IntentInput(text=text, sent_text=sent_text, received_at=datetime(2026, 11, 20, tzinfo=UTC))
    return await run(INTENT_CLASSIFICATION, request, context=RunContext(uuid4()))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text",
    [
        "Unsubscribe?",
        "Take me off the invite for Friday, and tell me more about the price please.",
        "Can he unsubscribe from the alerts himself? Sounds interesting.",
        "Skąd macie mój adres?",
        "Sounds interesting, send me details. But stop the second sequence to Paul.",
    ],
)
async def test_a_doubtful_answer_asks_a_user(text: str) -> None:
    """An answer that may be a refusal, or whose language is not understood, is no unsubscribe and needs a review."""
    output = await _classify(text)
    assert (output.label is Intent.UNSUBSCRIBE, output.needs_review) == (False, True)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text",
    [
        "Sounds interesting, please send me a proposal.",
        "Can we talk on Tuesday at 10?",
        "How much is it for two sites?",
        "Thanks, but we are not interested.",
        "Das klingt interessant, bitte schicken Sie mir Unterlagen.",
    ],
)
async def test_a_clear_answer_needs_no_review(text: str) -> None:
    """A clear answer without words of a refusal needs no review."""
    assert not (await _classify(text)).needs_review


_OFFER = 'Hello.\nIf this is not for you, reply "no thanks" and I will stop writing.\nBest wishes'


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "sent_text", "is_no"),
    [
        ("No thanks", _OFFER, True),
        ("NO THANKS!", _OFFER, True),
        ("Nein danke.", "Wenn Sie keine weiteren E-Mails möchten, antworten Sie mit „nein danke“.", True),
        ("nee", 'Als u geen berichten meer wilt, antwoord dan "nee".', True),
        ("No thanks", "Hello. Shall we talk?", False),
        ("No thanks, Tuesday does not suit me. Wednesday?", _OFFER, False),
        ("Yes", 'Reply "yes" for a call, or "no" if I shall stop writing.', False),
        ("Yes", 'Reply "yes" and I will stop writing and call you.', False),
        ("Call me", 'Reply "call me" and I will send you a time.', False),
    ],
)
async def test_what_the_mail_offers_as_a_no_is_one(text: str, sent_text: str, *, is_no: bool) -> None:
    """The exact words that our own mail asks for, and they alone, are a no in any language, unless they welcome us."""
    assert ((await _classify(text, sent_text)).label is Intent.UNSUBSCRIBE) == is_no
