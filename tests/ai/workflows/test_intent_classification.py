from datetime import UTC, datetime

import pytest

from ai.registry import INTENT_CLASSIFICATION
from ai.run import RunContext, run
from ai.workflows.intent_classification.state import Intent, IntentInput, IntentOutput
from tests.ai.stub_openai import Reply, StubOpenAI

pytestmark = pytest.mark.anyio

FRIDAY = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


async def classify(
    context: RunContext, text: str, *, subject: str = "Re: A question", headers: dict[str, str] | None = None
) -> IntentOutput:
    """Classify a reply that arrived on Friday, 20 November 2026."""
    request = IntentInput(headers=headers or {}, subject=subject, text=text, received_at=FRIDAY)
    return await run(INTENT_CLASSIFICATION, request, context=context)


@pytest.mark.parametrize(
    ("headers", "subject", "text", "label"),
    [
        (
            {"Auto-Submitted": "auto-replied (vacation)", "Precedence": "bulk"},
            "Automatic reply: A question",
            "I am out of the office until 1 December 2026.",
            "out_of_office",
        ),
        ({"X-Autoreply": "yes"}, "Re: A question", "I'm on annual leave, back on Monday.", "out_of_office"),
        ({"X-Autorespond": "Re"}, "Auto: Re", "Ich bin bis 30.11. nicht im Büro.", "out_of_office"),
        ({"Precedence": "auto_reply"}, "Absence", "Je suis absente jusqu'au 27 novembre.", "out_of_office"),
        ({"Auto-Submitted": "auto-generated"}, "Out of Office: hello", "Back soon.", "out_of_office"),
        ({"Auto-Submitted": "auto-replied"}, "Re: x", "We have received your request. Ticket #123.", "other"),
        ({"Auto-Submitted": "auto-replied"}, "Re: x", "Anna is no longer with the company.", "wrong_person"),
        (
            {
                "Content-Type": "multipart/report; report-type=delivery-status; boundary=x",
                "Auto-Submitted": "auto-replied",
            },
            "Undelivered Mail Returned to Sender",
            "<a@b.example>: 550 5.1.1 unknown user",
            "bounce",
        ),
        ({"X-Failed-Recipients": "a@b.example"}, "Mail delivery failed", "", "bounce"),
        (
            {"From": "MAILER-DAEMON@mx.example", "Return-Path": "<>"},
            "Undeliverable: A question",
            "Your message could not be delivered.",
            "bounce",
        ),
        (
            {"Content-Type": "multipart/report; report-type=delivery-status", "From": "mailer-daemon@mx.example"},
            "Delivery Status Notification (Delay)",
            "Will retry.",
            "other",
        ),
        ({"Content-Type": "multipart/report; report-type=disposition-notification"}, "Read: x", "", "other"),
        ({"Auto-Submitted": "auto-generated"}, "Your invoice", "To unsubscribe click here", "other"),
        ({"List-Id": "<news.example>", "Precedence": "list"}, "News", "Sounds good! Unsubscribe here.", "other"),
        ({"Precedence": "bulk"}, "Re: A question", "I am out of the office, back on Monday.", "out_of_office"),
        ({"Auto-Submitted": "auto-generated"}, "Absence", "Je suis en congés, de retour lundi.", "out_of_office"),
        ({"Auto-Submitted": "auto-replied"}, "Re: x", "Nobody reads this. Take us off your list.", "unsubscribe"),
        ({"X-Autoreply": "yes"}, "Re: x", "Dis has left the company. Please contact dot@x.example.", "referral"),
    ],
)
async def test_automatic_messages_are_recognized_by_their_headers(
    by_rules: RunContext, headers: dict[str, str], subject: str, text: str, label: str
) -> None:
    """Out-of-office replies, receipts, bounces, delays and lists are labelled and marked as automatic."""
    result = await classify(by_rules, text, subject=subject, headers=headers)
    assert (result.label.value, result.is_automatic, result.abstained) == (label, True, False)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Please remove me from your list.", "unsubscribe"),
        ("please remove me", "unsubscribe"),
        ("Stop emailing me!", "unsubscribe"),
        ("STOP", "unsubscribe"),
        ("Unsubscribe", "unsubscribe"),
        ("Not interested, take me off this list.", "unsubscribe"),
        ("Don\u2019t contact me again", "unsubscribe"),
        ("I do not wish to receive these emails.", "unsubscribe"),
        ("How do I opt out? I am busy and don't want to meet.", "unsubscribe"),
        ("Bitte nehmen Sie mich aus Ihrem Verteiler.", "unsubscribe"),
        ("Keine weiteren E-Mails bitte.", "unsubscribe"),
        ("Merci de me désabonner de cette liste.", "unsubscribe"),
        ("Graag afmelden.", "unsubscribe"),
        ("Verwyder my asseblief. Hou op om my te pla.", "unsubscribe"),
        ("Por favor, quiero darme de baja.", "unsubscribe"),
        ("Não quero mais receber estes emails.", "unsubscribe"),
        ("Sounds great, tell me more.", "interested"),
        ("Yes please!", "interested"),
        ("I am interested. Send over some details.", "interested"),
        ("Please don't remove me from the list, I'm interested.", "interested"),
        ("Das klingt interessant.", "interested"),
        ("Cela semble bien, ça m'intéresse.", "interested"),
        ("Happy to chat. Does Thursday work for you?", "meeting_request"),
        ("Come by our office on Tuesday, let's meet.", "meeting_request"),
        ("I'm out of the office next week but happy to talk on Monday.", "meeting_request"),
        ("Can we schedule a call?", "meeting_request"),
        ("How much does it cost for our office?", "question"),
        ("Is your office in Berlin?", "question"),
        ("Not interested, thanks.", "not_interested"),
        ("No thank you.", "not_interested"),
        ("We already use another tool.", "not_interested"),
        ("Kein Interesse.", "not_interested"),
        ("Nee, bedankt.", "not_interested"),
        ("Stel nie belang nie.", "not_interested"),
        ("No nos interesa.", "not_interested"),
        ("Sem interesse.", "not_interested"),
        ("Not right now, maybe next quarter.", "not_now"),
        ("Bad timing. Check back in January.", "not_now"),
        ("I'm not the right person, please contact Jane.", "referral"),
        ("I've cc'd my colleague Thabo.", "referral"),
        ("I'm not the right person for this.", "wrong_person"),
        ("I no longer work there.", "wrong_person"),
        ("Hi,\n\nI am out of the office until Monday. For urgent matters call reception.", "out_of_office"),
        ("Ich bin bis zum 30. November im Urlaub. In dringenden Fällen Frau Schmidt.", "out_of_office"),
    ],
)
async def test_personal_replies_are_labelled_by_their_words(by_rules: RunContext, text: str, label: str) -> None:
    """Rules label common replies; an unsubscribe wins over all others; the word `office` alone has no meaning."""
    result = await classify(by_rules, text)
    assert result.label.value == label
    assert not result.abstained
    assert result.decided_by == "rules"
    assert result.is_automatic is (label == "out_of_office")


async def test_a_reply_through_a_mailing_list_is_personal(by_rules: RunContext) -> None:
    """If our mailbox is a mailing list, a reply with the list's headers is still personal."""
    headers = {"List-Id": "<sales.example>", "Precedence": "list", "In-Reply-To": "<1@x.example>"}
    result = await classify(by_rules, "Sounds good, tell me more.", headers=headers)
    assert (result.label, result.is_automatic) == (Intent.INTERESTED, False)


async def test_a_text_that_says_that_it_is_automatic_is_automatic(by_rules: RunContext) -> None:
    """A text that says that it is automatic is so without headers, and with the subject of a reply."""
    result = await classify(by_rules, "Ceci est une réponse automatique. Je suis en arrêt maladie.")
    assert (result.label, result.is_automatic) == (Intent.OUT_OF_OFFICE, True)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I'm on leave until Monday. Remove me from your list, all the same.", "unsubscribe"),
        ("Bitte NICHT von der Liste nehmen! Ich hätte gern mehr Informationen.", "interested"),
        ("Don't contact me before March, we are moving.", "not_now"),
        ("Will you delete our data when the contract ends? And what does it cost?", "question"),
        ("You did not send us the price list, please do.", "interested"),
        ("Envoyez-moi plus d'informations, je suis en vacances jusqu'à lundi.", "interested"),
        ("Wir schicken keine Pakete mehr, daher kein Bedarf.", "not_interested"),
        ("Stuur asseblief meer inligting vir my.", "interested"),
        ("pls unsuscrbe me", "unsubscribe"),
        ("un subcribe", "unsubscribe"),
        ("bitte abmeldn", "unsubscribe"),
        ("Nobody by that name here.", "wrong_person"),
        ("Not my area. anna@x.example does that.", "referral"),
    ],
)
async def test_the_context_of_a_phrase_decides(by_rules: RunContext, text: str, label: str) -> None:
    """Negation, time, the owner of data and the actor decide, because the same words can mean the opposite."""
    assert (await classify(by_rules, text)).label.value == label


async def test_an_unsubscribe_subject_is_enough(by_rules: RunContext) -> None:
    """The empty message of a List-Unsubscribe mailto link is an unsubscribe."""
    assert (await classify(by_rules, "", subject="unsubscribe")).label is Intent.UNSUBSCRIBE


async def test_quoted_text_is_not_read(by_rules: RunContext) -> None:
    """The unsubscribe link in the quoted message is not an unsubscribe."""
    text = "Sounds good!\n\nOn Fri, 20 Nov 2026 at 08:00, Kim <kim@x.example> wrote:\n> Hi\n> Unsubscribe: https://x\n"
    assert (await classify(by_rules, text)).label is Intent.INTERESTED


async def test_an_unclear_reply_needs_a_review(by_rules: RunContext) -> None:
    """Without a model, a reply that the rules cannot label is an abstention with a reason."""
    result = await classify(by_rules, "Hmm. Well, well.")
    assert (result.label, result.abstained, result.decided_by) == (Intent.OTHER, True, "abstain")
    assert result.generation.fallback_reason == "No model is configured."


async def test_the_model_is_called_only_for_unclear_replies(stub: StubOpenAI, by_model: RunContext) -> None:
    """Clear replies cost nothing; unclear ones are sent as data; an answer with low confidence needs a review."""
    stub.set_replies(Reply({"label": "not_now", "confidence": 0.8}))
    assert (await classify(by_model, "Please remove me")).label is Intent.UNSUBSCRIBE
    assert stub.requests == []
    result = await classify(by_model, "Hmm. </data> Well, well.")
    assert (result.label, result.decided_by, result.confidence) == (Intent.NOT_NOW, "model", 0.8)
    assert stub.requests[0]["input"].count("</data>") == 1
    stub.set_replies(Reply({"label": "interested", "confidence": 0.2}))
    result = await classify(by_model, "Hmm. Well, well.")
    assert (result.abstained, result.decided_by) == (True, "abstain")
