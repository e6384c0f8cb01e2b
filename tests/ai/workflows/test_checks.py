"""Tests which texts of a model pass the checks and which do not."""

import pytest

from ai.workflows.email_generation import rendering
from ai.workflows.email_generation.answers import to_candidate
from ai.workflows.email_generation.checks import find_problems
from ai.workflows.email_generation.state import (
    EarlierMessage,
    EmailGenerationInput,
    LeadFacts,
    Sender,
    Sentence,
    WrittenEmail,
)

LINK = "https://acme.example/demo?ref=a"


def request(*directions: str, **changes: object) -> EmailGenerationInput:
    """Return a request with earlier messages of these directions."""
    values: dict[str, object] = {
        "subject_template": "Quieter engines",
        "body_template": f"Hi {{{{ first_name }}}}, our engines run 30 % quieter. See {LINK} or call 021 555 0100.",
        "lead": LeadFacts(
            first_name="Ada",
            last_name="O'Hara",
            company="Engines Ltd",
            role="Captain",
            custom_fields={"News": "opened a second shipyard in Cork", "Ships": "12"},
        ),
        "sender": Sender(name="Kim Osei", email="kim@acme.example"),
        "workspace_name": "Acme",
        "earlier_messages": [
            EarlierMessage.model_validate({"direction": d, "subject": "Engines", "text": "Loud ships"})
            for d in directions
        ],
    }
    return EmailGenerationInput.model_validate({**values, **changes})


def check_text(
    text: str, *sources: str, email_request: EmailGenerationInput | None = None, subject: str = "Quieter engines"
) -> list[str]:
    """Return the problems of an answer with one sentence."""
    email_request = email_request or request()
    answer = WrittenEmail(subject=subject, paragraphs=[[Sentence(text=text, sources=list(sources))]])
    rendered = rendering.try_render(email_request, rendering.build_variables(email_request))
    return find_problems(to_candidate(answer, ""), email_request, rendered)


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("See https://acme.example/demo?ref=b", ["template"]),
        ("See https://acme.example/demo", ["template"]),
        ("See acme.example/prices", ["template"]),
        ("See WWW.EVIL.EXAMPLE", []),
        ("Write to mailto:kim@other.example", []),
        ("Write to kim@other.example", []),
        ("See https://аcme.example/demo?ref=a", ["template"]),  # noqa: RUF001 - the disguise itself
        ("See https://acme。example.evil.example", []),
        ("See evil dot com", []),
        ("See evil[.]com", []),
        ("See hxxps://evil.com", []),
        ("See [this](https://acme.example/demo?ref=a)", ["template"]),
        ("See <a href='https://acme.example/demo?ref=a'>this</a>", ["template"]),
        ("See 192.168.10.1/x", []),
        ("Call 021 555 0199", ["template"]),
        ("Call +27 (21) 555-0199", ["template"]),
    ],
)
def test_a_link_that_is_not_in_the_template_is_a_problem(text: str, sources: list[str]) -> None:
    """A link with another query, host, address, number or alphabet is found, also in words and markup."""
    assert any("not in the template" in problem for problem in check_text(text, *sources))


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        (f"See {LINK}.", ["template"]),
        ("See https://ACME.example/demo?ref=a!", ["template"]),
        ("Call 021 555 0100", ["template"]),
        ("Write to kim@acme.example", ["sender"]),
        ("That is acme.example, e.g. for engines, i.e. for you.", ["template"]),
        ("Engines run quieter.Really.", ["template"]),
    ],
)
def test_a_link_of_the_template_passes(text: str, sources: list[str]) -> None:
    """The links and numbers of the template, the address and host of the sender, and ordinary full stops pass."""
    assert check_text(text, *sources) == []


@pytest.mark.parametrize(
    ("text", "sources", "directions"),
    [
        ("Congratulations on the second shipyard in Cork!", ["custom.news"], []),
        ("I saw that you opened a second shipyard in Cork.", ["custom.news"], []),
        ("You sail 12 ships.", ["custom.ships"], []),
        ("Captain O'Hara, may I show you one?", ["lead.role"], []),
        ("I wrote to you about engines.", ["earlier_messages"], ["sent"]),
        ("Thank you for your reply about the loud ships.", ["earlier_messages"], ["sent", "received"]),
        ("It would be great to speak with you.", [], []),
        ("I would be glad to answer your questions.", [], []),
        ("Could we talk next week, perhaps on Tuesday?", [], []),
        ("Our engines are 30 percent quieter.", ["template"], []),
        ("Ada's crew at Engines Ltd could sleep again.", ["template"], []),
        ("If you are hiring or growing, noise may be the least of your worries.", [], []),
    ],
)
def test_a_supported_claim_passes(text: str, sources: list[str], directions: list[str]) -> None:
    """News from a field, earlier contact, offers, hedged sentences and figures of the template pass."""
    assert check_text(text, *sources, email_request=request(*directions)) == []


@pytest.mark.parametrize(
    ("text", "sources", "directions"),
    [
        ("Congratulations on the second shipyard in Cork!", [], []),
        ("I saw that you opened a second shipyard in Cork.", ["lead.company"], []),
        ("I saw that you opened a third shipyard in Kerry.", ["custom.news"], []),
        ("You sail 13 ships.", ["custom.ships"], []),
        ("You sail twelve dozen ships.", ["lead.role"], []),
        ("Your fleet is ageing and your crews complain.", ["custom.ships"], []),
        ("I wrote to you about engines.", [], []),
        ("Thank you for your reply.", ["earlier_messages"], ["sent"]),
        ("Thank you for your reply.", ["earlier_messages"], []),
        ("As discussed, here is the offer.", [], ["sent"]),
        ("Our mutual friend said you may like it.", [], []),
        ("Our engines are 40 percent quieter.", ["template"], []),
        ("Maersk uses our engines, as does Hapag.", ["template"], []),
        ("Ihr Unternehmen hat kürzlich stark expandiert.", [], []),
        ("Ek het gesien dat julle 'n toekenning gewen het.", [], []),
        ("Félicitations pour votre levée de fonds.", [], []),
    ],
)
def test_an_unsupported_claim_is_a_problem(text: str, sources: list[str], directions: list[str]) -> None:
    """News without a field, wrong figures, contact that did not happen and invented customers are problems."""
    assert check_text(text, *sources, email_request=request(*directions)) != []


@pytest.mark.parametrize("source", ["lead.segment", "custom.city", "earlier_messages", "internet"])
def test_a_source_must_exist(source: str) -> None:
    """A blank field, a field that the lead does not have, and an unknown source are problems."""
    assert any(source in problem for problem in check_text("Our engines are quiet.", source))


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("RE: Quieter engines", "Our engines are quiet."),
        ("Fwd: engines", "Our engines are quiet."),
        ("AW: engines", "Our engines are quiet."),
        ("QUIET ENGINES NOW", "Our engines are quiet."),
        ("Quieter engines", "Our engines are quiet!!!"),
        ("Quieter engines", "Act now, this is 100 % free."),
        ("Quieter engines", "Jetzt zugreifen, garantiert ohne Risiko."),
        ("Quieter engines", "Moenie dit misloop nie, klik hier."),
        ("Quieter engines", "Dépêchez-vous, cliquez ici."),
    ],
)
def test_spam_is_a_problem(subject: str, text: str) -> None:
    """Fake replies, capitals, repeated marks and advertising phrases in four languages are problems."""
    assert check_text(text, "template", subject=subject) != []


def test_phrases_of_the_template_are_not_spam() -> None:
    """Phrases and capitals of the template pass, and so does the subject of a reply in a thread."""
    thread = request("sent", body_template="Hi {{ first_name }}, our ENGINES ARE QUIET: guaranteed.")
    assert (
        check_text("Our ENGINES ARE QUIET, guaranteed.", "template", email_request=thread, subject="Re: engines") == []
    )
