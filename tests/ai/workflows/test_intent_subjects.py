import pytest

from ai.registry import INTENT_CLASSIFICATION
from ai.run import RunContext, run
from ai.workflows.intent_classification.state import IntentInput, IntentOutput
from email_text.subjects import MAX_SUBJECT_CHARACTERS, split_subject
from tests.ai.workflows.test_intent_classification import FRIDAY


@pytest.mark.parametrize(
    ("subject", "sent", "own"),
    [
        ("STOP - Re: One", "One", "STOP"),
        ("STOP - Re: One", "", "STOP"),
        ("Re: One", "One", ""),
        ("Re: One", "", ""),
        ("Odp: AW: One", "", ""),
        ("回复\uff1aOne", "", ""),
        ("Re: One - unsubscribe", "One", "unsubscribe"),
        ("Re: Stop wasting flour", "Stop wasting flour", ""),
        ("unsubscribe", "", "unsubscribe"),
        ("unsubscribe", "One", "unsubscribe"),
        ("x" * MAX_SUBJECT_CHARACTERS + "y", "", "x" * MAX_SUBJECT_CHARACTERS),
    ],
)
def test_the_senders_words_in_a_subject(subject: str, sent: str, own: str) -> None:
    """Words before a reply prefix and beside the subject of the answered mail are the sender's."""
    assert split_subject(subject, sent).own == own


async def classify(
    context: RunContext, text: str, subject: str = "Re: One", sent_subject: str = "One", sent_text: str = ""
) -> IntentOutput:
    """Classify a reply of Jonas Berg to a mail of Ann Smit."""
    headers = {"From": "Jonas Berg <jonas@berg.example>", "To": "Ann Smit <ann@acme.example>"}
    request = IntentInput(
        headers=headers, subject=subject, text=text, sent_subject=sent_subject, sent_text=sent_text, received_at=FRIDAY
    )
    return await run(INTENT_CLASSIFICATION, request, context=context)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("subject", "text", "label", "needs_review"),
    [
        ("STOP - Re: One", "", "unsubscribe", False),
        ("Abmelden Re: One", "\xa0", "unsubscribe", False),
        ("Unsubscribe", "Regards\nJonas", "unsubscribe", False),
        ("Not interested. Re: One", "", "not_interested", False),
        ("Re: One", "", "other", True),
        ("Re: Stop it", "Sounds good, tell me more.", "interested", False),
        ("Re: Stop it", "Bye", "unsubscribe", False),
        ("Re: One", "Sounds good, tell me more.\n\nJonas\nTo unsubscribe us click here", "interested", True),
        ("Re: One", "Sounds good, tell me more.\n\nKind regards\nJonas\nPlease remove me", "interested", True),
        ("Re: One", "Sounds good, tell me more.\n\nKind regards\nJonas\nBerg Tools", "interested", False),
        ("Re: One", "Please remove me.\n\nKind regards\nJonas\nNewsletter: unsubscribe here", "unsubscribe", False),
    ],
)
async def test_subjects_and_tails(
    by_rules: RunContext, subject: str, text: str, label: str, *, needs_review: bool
) -> None:
    """The sender's words in the subject count; words below the closing only ask for a review."""
    output = await classify(by_rules, text, subject)
    assert (output.label.value, output.needs_review, output.is_automatic) == (label, needs_review, False)


@pytest.mark.anyio
async def test_our_own_words_are_no_request(by_rules: RunContext) -> None:
    """Subject and text of the answered mail do not unsubscribe the person who returns them without a quote mark."""
    sent = "Just say so and there will be no more emails from me, I promise."
    output = await classify(by_rules, f"Sounds good, tell me more.\n\n{sent}", "Re: Stop wasting", "Stop wasting", sent)
    assert (output.label.value, output.needs_review) == ("interested", False)
